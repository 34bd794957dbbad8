"""Reads the four files, and says of every mistake where it is."""

"""Unit Tests."""

"""Data Protection."""

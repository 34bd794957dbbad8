"""API Client."""

"""API Keys."""

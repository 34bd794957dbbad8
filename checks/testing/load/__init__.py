"""Load testing."""

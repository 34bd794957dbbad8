"""Network Security."""

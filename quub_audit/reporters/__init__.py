"""Pure functions of the result document."""

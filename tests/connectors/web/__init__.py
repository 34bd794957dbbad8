"""What endpoints show to anybody."""

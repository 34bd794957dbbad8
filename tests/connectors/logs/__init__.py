"""The connector that samples logs."""

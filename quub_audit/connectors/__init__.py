"""The only code that does I/O. Connectors ask and never judge."""

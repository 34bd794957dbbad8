"""The command line: options and one call each; all logic lives below."""

"""Whether somebody would know: traces, logs, errors and alerts."""

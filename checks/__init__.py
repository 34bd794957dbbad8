"""One module per item, at the place that its id names."""

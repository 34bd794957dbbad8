"""Plans, runs and folds; the only place that knows an item is more than its checks."""

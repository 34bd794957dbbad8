"""Performance items of the deployment guide."""

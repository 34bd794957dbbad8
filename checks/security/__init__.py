"""Security items of the deployment guide."""

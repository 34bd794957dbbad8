"""Testing items of the deployment guide."""

"""What quub-audit costs, each figure beside something it can be compared with: `python -m bench`."""

"""`python -m quub_audit`: the same as `quub-audit`."""

import sys

from quub_audit.cli import main

if __name__ == "__main__":
    sys.exit(main())

"""`python -m plugins.base.egress START.json`."""

import sys

from plugins.base.egress.main import main

if __name__ == "__main__":
    sys.exit(main())

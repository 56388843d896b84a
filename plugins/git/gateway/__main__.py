"""`python -m plugins.git.gateway START.json`."""

import sys

from plugins.git.gateway.main import main

if __name__ == "__main__":
    sys.exit(main())

"""`python -m plugins.base START.json` runs one plugin."""

from __future__ import annotations

import sys

from plugins.base.main import main

sys.exit(main())

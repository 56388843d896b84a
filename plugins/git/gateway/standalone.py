"""git's gateway without a supervisor: `python -m plugins.git.gateway.standalone`, as compose.yaml runs it.

It takes its credentials out of the environment before anything else.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final

from plugins.base.secrets import take_from_environment
from plugins.base.standalone_gateway import gateway_parser, run_standalone
from plugins.git.gateway.main import CREDENTIALS, TOOL, serve

_PORTS: Final = (8417, 8418)  # for smart HTTP, and for streams


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the gateway; the exit status."""
    taken = take_from_environment(os.environ.pop(CREDENTIALS, "").split())
    options = gateway_parser("python -m plugins.git.gateway.standalone", _PORTS)
    given = options.parse_args(arguments)
    return run_standalone(TOOL, given, lambda config, link: serve(config, taken, link), origin=True)


if __name__ == "__main__":
    sys.exit(main())

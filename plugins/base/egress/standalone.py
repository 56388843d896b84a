"""A gateway by `network.allow` without a supervisor: `python -m plugins.base.egress.standalone TOOL`,
as compose.yaml runs it for the agent and for tools.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from plugins.base.control import StartConfig
from plugins.base.control.link import LinkFactory
from plugins.base.egress.main import EgressGateway
from plugins.base.gateway import run_process
from plugins.base.standalone_gateway import gateway_parser, run_standalone

_PORTS: Final = (8417,)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the gateway; the exit status."""
    options = gateway_parser("python -m plugins.base.egress.standalone", _PORTS)
    options.add_argument("tool")
    given = options.parse_args(arguments)
    return run_standalone(given.tool, given, _serve)


async def _serve(config: StartConfig, link: LinkFactory) -> None:
    await run_process(config, lambda config: EgressGateway(config, link))


if __name__ == "__main__":
    sys.exit(main())

"""The gateway process: `python -m plugins.base.egress START.json`. It has no credential of anybody."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from plugins.base import gateway
from plugins.base.control import StartConfig
from plugins.base.control.link import ControlLink, LinkFactory
from plugins.base.doors import door, tool_of
from plugins.base.egress import MODULE
from plugins.base.egress.proxy import Proxy
from plugins.base.egress.tunnel import BUFFER
from plugins.base.gateway import Gateway, cannot_listen
from plugins.base.registry import plugin_class

_BACKLOG: Final = 128


class EgressGateway(Gateway):
    """The gateway of the tool that the start configuration names."""

    def __init__(self, config: StartConfig, link: LinkFactory = ControlLink) -> None:
        tool = tool_of(config.plugin)
        kind = plugin_class(tool)
        super().__init__(config, tool, kind.rules_model, link)
        self._door = door(config.gateway)
        self._proxy = Proxy(self, kind, self._door.capability, self._door.host)

    async def serve(self) -> None:
        try:
            server = await asyncio.start_server(
                self._proxy.serve, *self._door.address, limit=BUFFER, backlog=_BACKLOG
            )
        except OSError as error:
            raise cannot_listen(f"{self._door.host}:{self._door.port}", error) from error
        async with server:
            await self.talk()

    def changed(self) -> None:
        super().changed()
        self._proxy.judge_again()
        self.tell_news()

    def stop(self) -> None:
        self._proxy.close()
        super().stop()

    def describe(self) -> str:
        allowed = self.policy.network.allow if self.policy is not None else ()
        return f"gateway to {', '.join(allowed) or 'nowhere'}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the gateway; the exit status."""
    return gateway.main(MODULE, EgressGateway, arguments)

"""What the operator asks of gateways: to put an approved push's loss back, to use a new credential."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from plugins.base.control import Credentials as NewCredentials
from plugins.base.control import Undo, Undone
from plugins.base.doors import gateway_name, is_gateway, tool_of
from plugins.base.errors import ClaudeContainerError
from supervisor.control_link import PluginLink
from supervisor.credentials import Credentials
from supervisor.fleet import Fleet
from supervisor.journal import Journal
from supervisor.plugin_desk import PluginDesk
from supervisor.status import Request

_UNDOING = 120.0  # seconds


class GatewayDesk:
    """Speaks with the gateways of one home."""

    def __init__(self, fleet: Fleet, desk: PluginDesk, credentials: Credentials, journal: Journal) -> None:
        self._fleet = fleet
        self._credentials = credentials
        self._journal = journal
        self._undoing: dict[str, asyncio.Future[Undone]] = {}
        desk.undone.append(self._take)

    async def undo(self, request: Request) -> tuple[str, ...]:
        """Put back what the request's push took away. Raises `ClaudeContainerError` when it cannot be."""
        link = self._link(tool_of(request.plugin))
        if request.id in self._undoing:
            raise ClaudeContainerError(f"Request {request.id} is being undone already.")
        answer: asyncio.Future[Undone] = asyncio.get_running_loop().create_future()
        self._undoing[request.id] = answer
        try:
            link.post(Undo(request=request.id))
            async with asyncio.timeout(_UNDOING):
                done = await answer
        except TimeoutError:
            raise ClaudeContainerError(
                "The gateway does not answer.", hint="See: claude-container logs git-gateway"
            ) from None
        finally:
            del self._undoing[request.id]
        if done.problem:
            raise ClaudeContainerError(done.problem, hint=done.hint)
        return done.refs

    def _link(self, tool: str) -> PluginLink:
        managed = self._fleet.plugins.get(gateway_name(tool))
        if managed is None or managed.link is None:
            raise ClaudeContainerError(
                f"No gateway of {tool} runs, so nothing can be undone.", hint="See: claude-container status"
            )
        return managed.link

    def _take(self, message: Undone) -> None:
        waiting = self._undoing.get(message.request)
        if waiting is not None and not waiting.done():
            waiting.set_result(message)

    def renew(self, values: Mapping[str, str]) -> tuple[str, ...]:
        """Hold new credentials, and hand them to the gateways whose policy names them."""
        self._credentials.renew(values)
        taken: set[str] = set()
        for managed in self._fleet.plugins.values():
            wanted = self._credentials.wanted(managed.name, values) if is_gateway(managed.name) else {}
            if wanted and managed.link is not None:
                managed.link.post(NewCredentials(values=wanted))
                taken |= wanted.keys()
        if taken:
            self._journal.note("supervisor", "", f"Took over new values of: {', '.join(sorted(taken))}.")
        return tuple(sorted(taken))

"""What becomes of what plugins say: the control link's side of the supervisor."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import AsyncIterator, Callable, Mapping

from plugins.base.control import (
    Answer,
    Applied,
    Ask,
    Credentials,
    Hello,
    Lockdown,
    Ready,
    Record,
    Settled,
    Stats,
    Tell,
    Told,
    Undone,
)
from plugins.base.doors import gateway_name, is_gateway, tool_of
from plugins.base.errors import ClaudeContainerError
from supervisor import reconcile
from supervisor.approvals.answers import Approvals
from supervisor.control_link import PluginLink
from supervisor.fleet import Fleet
from supervisor.hub import Hub
from supervisor.journal import Journal
from supervisor.managed import Managed
from supervisor.policies.keeper import PolicyKeeper
from supervisor.state_db import StateDb

_PENALTY = 10.0  # seconds in which a plugin that was cut off is not let in again
_TELLING = 2.0  # seconds for a plugin to take in that everything is locked down
_LOCKDOWN = "lockdown"


class PluginDesk:
    """See `supervisor.control_link.Handler`. Also keeps the lockdown, which outlasts the supervisor."""

    def __init__(
        self,
        fleet: Fleet,
        keeper: PolicyKeeper,
        approvals: Approvals,
        journal: Journal,
        hub: Hub,
        db: StateDb,
        credentials: Callable[[str], Mapping[str, str]] = lambda _: {},  # that a plugin gets from here
    ) -> None:
        self._fleet = fleet
        self._keeper = keeper
        self._approvals = approvals
        self._journal = journal
        self._hub = hub
        self._db = db
        self._credentials = credentials
        self._barred: dict[str, float] = {}  # plugin -> until when, monotonic
        self.lockdown = db.get(_LOCKDOWN)
        self.undone: list[Callable[[Undone], None]] = []  # who hears what became of an undo

    # ------------------------------------------------------------ connections

    def admit(self, hello: Hello) -> bool:
        managed = self._fleet.plugins.get(hello.plugin)
        if managed is None or managed.instance is None:
            return False
        if self._barred.get(hello.plugin, 0.0) > time.monotonic():
            return False
        return hmac.compare_digest(managed.instance.config.token.encode(), hello.token.encode())

    def linked(self, link: PluginLink) -> None:
        managed = self._fleet.plugins[link.plugin]
        if managed.link is not None:
            managed.link.close()
        managed.link, managed.cut = link, ""
        managed.life = reconcile.linked(managed.life, time.monotonic(), up=True)
        link.post(self._lockdown_message())  # first: nothing passes before it is known
        if values := dict(self._credentials(link.plugin)):
            link.post(Credentials(values=values))
        self._keeper.enforces(managed, link.hello.policy)
        self._keeper.send(managed)
        self._fleet.changed()

    def unlinked(self, link: PluginLink, why: str) -> None:
        managed = self._of(link)
        if why:
            self._barred[link.plugin] = time.monotonic() + _PENALTY
            self._journal.note("supervisor", link.plugin, why)
        if managed is not None:
            managed.link, managed.cut = None, why
            managed.life = reconcile.linked(managed.life, time.monotonic(), up=False)
            self._fleet.changed()

    def _of(self, link: PluginLink) -> Managed | None:
        """The plugin, unless another link has taken this one's place."""
        managed = self._fleet.plugins.get(link.plugin)
        return managed if managed is not None and managed.link is link else None

    # ------------------------------------------------------------ messages

    async def heard(self, link: PluginLink, message: Ready | Applied | Stats | Undone | Tell | Told) -> None:
        managed = self._of(link)
        if managed is None:
            return
        match message:
            case Stats():
                if managed.counted(message):
                    self._fleet.changed(urgent=False)
            case Applied():
                await self._keeper.applied(managed, message)
            case Ready():
                self._ready(managed, message)
            case Undone():
                for told in self.undone:
                    told(message)
            case Tell() if is_gateway(link.plugin):
                if not self._hand_on(tool_of(link.plugin), message):
                    link.post(Told(tell=message.tell))
            case Told() if not is_gateway(link.plugin):
                self._hand_on(gateway_name(link.plugin), message)

    def _hand_on(self, plugin: str, message: Tell | Told) -> bool:
        """What a tool and its gateway have to say to each other; False when the other is not there."""
        other = self._fleet.plugins.get(plugin)
        if other is None or other.link is None:
            return False
        other.link.post(message)
        return True

    def _ready(self, managed: Managed, message: Ready) -> None:
        managed.ready = message
        problem = message.problem
        managed.life = reconcile.ready(managed.life, time.monotonic(), problem)
        self._fleet.changed()

    def asked(self, link: PluginLink, ask: Ask) -> AsyncIterator[Answer]:
        return self._approvals.ask(ask, plugin=tool_of(link.plugin))

    def forgotten(self, link: PluginLink, ask: Ask, settled: Settled) -> None:
        self._approvals.forget(ask, plugin=tool_of(link.plugin), settled=settled)

    async def store(self, link: PluginLink, record: Record) -> None:
        """A plugin speaks for its tool alone, whatever name its events have."""
        tool = tool_of(link.plugin)
        events = [
            event if event.plugin == tool else event.model_copy(update={"plugin": tool})
            for event in record.events
        ]
        await self._journal.store(events, record.outcomes)

    # ------------------------------------------------------------ lockdown

    async def lock_down(self, message: str | None) -> None:
        """Refuse everything with this message, from now on and after a restart; None lifts it.

        A plugin that cannot be told is ended: the one started in its place is told first of all. Raises
        `ClaudeContainerError` when it cannot be kept for a restart; a lockdown holds until then all the same.
        """
        unkept = self._keep_lockdown(message)
        self.lockdown = message
        told = "Lifted the lockdown." if message is None else f"Locked down: {message}"
        self._journal.note("supervisor", "", told)
        self._hub.changed("status")
        await asyncio.gather(*map(self._tell_lockdown, list(self._fleet.plugins.values())))
        if unkept is not None:
            raise ClaudeContainerError(
                f"Everything is refused now, but not after a restart of the supervisor: {unkept.message}",
                hint=f"{unkept.hint} Then lock down again.",
            )

    def _keep_lockdown(self, message: str | None) -> ClaudeContainerError | None:
        """Write it down. Returns why it could not be; raises that when a lockdown was to be lifted."""
        try:
            self._db.set(_LOCKDOWN, message)
        except ClaudeContainerError as error:
            if message is None:
                raise
            return error
        return None

    async def _tell_lockdown(self, managed: Managed) -> None:
        instance, link = managed.instance, managed.link
        if link is not None:
            link.post(self._lockdown_message())
            if await link.told(_TELLING):
                return
        if instance is not None and self.lockdown is not None:
            instance.kill()

    def _lockdown_message(self) -> Lockdown:
        return Lockdown(on=self.lockdown is not None, message=self.lockdown or "")

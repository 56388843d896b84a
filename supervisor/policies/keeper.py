"""Keeps each plugin's policy as its file says, a moment after it was saved.

A file with problems changes nothing: what was in force last stays in force. A policy counts as the last
good one from when the plugin said that it enforces it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import NoReturn

from plugins.base.control import Applied
from plugins.base.doors import gateway_name, tool_of
from plugins.base.errors import ClaudeContainerError
from plugins.base.policy import policy_hash
from plugins.base.policy.watch import changes
from supervisor.fleet import Fleet
from supervisor.gateways import Gateways
from supervisor.home import Home
from supervisor.hub import Hub
from supervisor.journal import Journal
from supervisor.managed import Managed
from supervisor.policies import state as policy_state
from supervisor.policies.store import PolicyFile, PolicyStore
from supervisor.tasks import Tasks

_GONE = 0.5  # seconds that a file may be missing while an editor replaces it


class PolicyKeeper:
    """Between the policy files and the plugins."""

    def __init__(
        self, home: Home, store: PolicyStore, fleet: Fleet, gateways: Gateways, journal: Journal, hub: Hub,
        tasks: Tasks,
    ) -> None:  # fmt: skip
        self._home = home
        self._store = store
        self._fleet = fleet
        self._gateways = gateways
        self._journal = journal
        self._hub = hub
        self._tasks = tasks
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._leaving: set[str] = set()
        self._saved: dict[str, str] = {}  # plugin -> hash that was saved through the API last

    async def run(self, first_look: Callable[[], None]) -> NoReturn:
        """Follow the files; `first_look` is called when all that are there were read."""
        first = True
        async for names in changes(self._home.config):
            if first:
                await asyncio.gather(*map(self.look, sorted(names)))
                first_look()
                first = False
                continue
            for name in sorted(names):
                self._tasks.start(self.look(name))
        raise RuntimeError("the watch on the policies ended")

    async def look(self, name: str) -> None:
        """Read the file anew, and see to it that it is enforced."""
        async with self._locks[name]:
            if not self._exists(name):
                self._leave(name)
                return
            file = await asyncio.to_thread(self._store.read, name)
            if file.policy is not None:  # else what was in force stays so, its gateway included
                self._gateways.take(name, file.policy)
            wanted = self._gateways.processes(name)
            if gateway_name(name) not in wanted:
                self._fleet.discard(gateway_name(name))
            for each in wanted:
                await self._follow(each, file)

    async def _follow(self, name: str, file: PolicyFile) -> None:
        """See to it that one of the tool's processes is there, and goes by the file."""
        new = name not in self._fleet.files
        managed = self._fleet.add(name)
        if new:
            await self._recall(managed)
        self._take(managed, file)
        self.send(managed)

    def send(self, managed: Managed) -> None:
        """Send the plugin what it should enforce, when it does not."""
        message = policy_state.to_send(managed.policy)
        if message is not None and managed.link is not None:
            managed.link.post(message)

    async def applied(self, managed: Managed, answer: Applied) -> None:
        """The plugin enforces a policy now, or says why it does not."""
        managed.policy = policy_state.with_answer(managed.policy, answer)
        if answer.problems:
            self._journal.note("policy", managed.name, f"The plugin refused a policy: {answer.problems[0]}")
            self.send(managed)
        self._enforced(managed)
        self._told()

    def enforces(self, managed: Managed, name: str) -> None:
        """The plugin said, when it connected, what it enforces."""
        managed.policy = policy_state.with_answer(managed.policy, Applied(policy=name))
        self._enforced(managed)

    def saved(self, name: str, new_hash: str) -> None:
        """The operator saved this policy through the API; its history will say so."""
        self._saved[name] = new_hash

    async def remove(self, name: str) -> None:
        """The file was removed on purpose: nobody waits for it to come back."""
        async with self._locks[name]:
            if not self._exists(name):
                for each in (name, gateway_name(name)):
                    self._fleet.discard(each)
                self._gateways.take(name, None)

    def _exists(self, name: str) -> bool:
        path = self._home.policy_file(name)
        return path.exists() or path.is_symlink()

    def _leave(self, name: str) -> None:
        known = {name, gateway_name(name)} & self._fleet.files
        if known and name not in self._leaving:
            self._leaving.add(name)
            self._tasks.start(self._discard_if_gone(name))

    async def _discard_if_gone(self, name: str) -> None:
        await asyncio.sleep(_GONE)
        self._leaving.discard(name)
        await self.remove(name)

    async def _recall(self, managed: Managed) -> None:
        try:
            good = await asyncio.to_thread(self._store.last_good, tool_of(managed.name))
        except ClaudeContainerError as error:
            self._hub.warn(f"policy {managed.name}", error.message)
            return
        managed.policy = policy_state.with_good(managed.policy, good)

    def _take(self, managed: Managed, file: PolicyFile) -> None:
        before = managed.policy
        managed.policy = policy_state.with_file(before, file)
        if managed.policy.problems and managed.policy.problems != before.problems:
            stays = "the last good policy stays" if before.good else "every command is refused"
            self._journal.note("policy", managed.name, f"{managed.policy.problems[0]}; {stays}.")
        self._enforced(managed)
        self._told()

    def _enforced(self, managed: Managed) -> None:
        """If the file's policy is in force since now, record that."""
        text = policy_state.newly_good(managed.policy)
        if text is None:
            return
        managed.policy = policy_state.with_good(managed.policy, text)
        tool = tool_of(managed.name)
        first = self._gateways.processes(tool)[:1]
        if managed.name not in first:  # which tells, and keeps the history
            return
        name = policy_hash(text)
        who = "operator" if self._saved.get(tool) == name else "edit of the file"
        self._journal.note("policy", tool, f"Policy {name[:12]} is in force (by: {who}).", policy=name)
        self._tasks.start(self._accept(tool, text, who))

    async def _accept(self, name: str, text: str, who: str) -> None:
        async with self._locks[f"history of {name}"]:
            try:
                await asyncio.to_thread(self._store.accept, name, text, who)
            except ClaudeContainerError as error:
                self._hub.warn(f"policy {name}", f"The history of {name} is not kept: {error.message}")
            else:
                self._hub.warn(f"policy {name}", None)

    def _told(self) -> None:
        self._fleet.changed()
        self._hub.changed("policy")

"""The Docker runtime: each plugin, and each gateway, in a hardened container that outlives the supervisor.

What a container is made of is `supervisor.containers.facts`' to say. That one ended is learned from the
engine's events; after the engine was away, from one look at all containers of this home. Nobody else's are
touched.
Secrets are never part of a container: gateways get them over their control link.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, Literal

from plugins.base.control import StartConfig
from supervisor.containers import facts
from supervisor.containers.calls import Found
from supervisor.containers.connection import Connected, Connection
from supervisor.containers.engine import Engine, connect
from supervisor.containers.engine_errors import EngineError
from supervisor.containers.events import Ended, Listener, Source, follow
from supervisor.containers.facts import User
from supervisor.containers.instance import ContainerInstance, exit_of
from supervisor.containers.logs import LogCopy
from supervisor.containers.names import name_of
from supervisor.containers.off_loop import off_loop
from supervisor.containers.preparation import Preparation
from supervisor.home import Home
from supervisor.images.recipes import image_version
from supervisor.runtimes import metrics
from supervisor.runtimes.logs import last_words
from supervisor.runtimes.metrics import Usage

_COPYING: Final = 10.0  # seconds to copy the last of a log
_LEAVING: Final = 10.0  # seconds for an engine to remove networks, when the supervisor ends


class DockerRuntime(Listener):
    """See `supervisor.runtimes.runtime.Runtime`. `engine` connects to the engine; it blocks.

    `command` is what is run in place of a plugin's module, with the start file as its argument.
    """

    name: Literal["docker"] = "docker"

    def __init__(
        self, home: Home, *, engine: Callable[[], Engine] = connect, user: User | None = None,
        version: str = "", command: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self._home = home
        self._connection = Connection(home, engine)
        self._preparation = Preparation(
            home, user or facts.own_user(), version or image_version(home), command
        )
        self._instances: dict[str, ContainerInstance] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._following: asyncio.Task[Any] | None = None
        self._ending: set[str] = set()
        self._tell: Callable[[str | None], None] = lambda _: None

    def watch(self, tell: Callable[[str | None], None]) -> None:
        self._tell = tell
        self._follow()

    def _follow(self) -> None:
        if self._following is None:
            self._following = asyncio.get_running_loop().create_task(follow(self))

    # ------------------------------------------------------------ starting

    async def check_tool(self, tool: str, path: str) -> None:
        await self._preparation.check(await self._connection.get(), tool)

    async def start(self, config: StartConfig) -> ContainerInstance:
        self._follow()
        at = await self._connection.get()
        wanted, image = await self._preparation.prepare(at, config)
        instance = ContainerInstance(config, await off_loop(at.calls.create, wanted, image), self)
        async with instance.starting:
            self._instances[instance.identity] = instance  # now: its end may be told before its start
            await self._run(at, instance)
        return instance

    async def _run(self, at: Connected, instance: ContainerInstance) -> None:
        try:
            await off_loop(at.calls.start, instance.identity)
            found = await off_loop(at.calls.look, instance.identity)
        except EngineError:
            del self._instances[instance.identity]
            await self._give_up(at, instance.identity)
            raise
        if found is not None:
            instance.runs(found)
        self._copy_log(at, instance)

    async def _give_up(self, at: Connected, identity: str) -> None:
        with suppress(EngineError):  # then the next start, or the next supervisor, removes it
            await off_loop(at.calls.remove, identity)

    def _copy_log(self, at: Connected, instance: ContainerInstance) -> None:
        plugin = instance.config.plugin
        record = self._home.container_record(plugin)
        instance.log = LogCopy(self._home.logs / f"{plugin}.log", record.with_suffix(".seen"))
        instance.log.start(lambda since: at.calls.logs(instance.identity, since))

    # ------------------------------------------------------------ what an earlier supervisor left

    async def found(self) -> tuple[str, ...]:
        try:
            at = await self._connection.get()
            return tuple(sorted({container.plugin for container in await off_loop(at.calls.all)}))
        except EngineError:
            return tuple(sorted(path.stem for path in self._home.container_record("_").parent.glob("*.json")))

    async def adopt(self, plugin: str) -> ContainerInstance | None:
        """One that was made of something else than it would be now is ended instead."""
        self._follow()
        try:
            at = await self._connection.get()
            return await self._adopt(at, plugin)
        except EngineError:
            return None

    async def _adopt(self, at: Connected, plugin: str) -> ContainerInstance | None:
        found = await off_loop(at.calls.look, name_of(self._home, plugin))
        if found is None:
            return None
        config = await self._preparation.recorded(plugin)
        if config is None or not found.running or not await self._preparation.is_current(at, config, found):
            await off_loop(at.calls.stop, found.id, int(_LEAVING))
            await self._remove(found.id, plugin)
            return None
        instance = ContainerInstance(config, found.id, self)
        self._instances[found.id] = instance
        instance.runs(found)
        self._copy_log(at, instance)
        return instance

    # ------------------------------------------------------------ what happens to containers

    async def connect(self) -> Source:
        at = await self._connection.get()
        return Source(at.calls.events, at.engine.ping, at.engine.translated)

    async def connected(self) -> None:
        known = list(self._instances.values())
        at = await self._connection.get()
        there = {container.id: container for container in await off_loop(at.calls.all)}
        for instance in known:
            found = there.get(instance.identity)
            if found is None or (not found.running and found.started):
                self.ended(Ended(instance.identity))
                continue
            if instance.signal:
                self.signal(instance)
            if instance.log is not None and instance.log.ended:
                self._copy_log(at, instance)
        self._tell(None)

    def lost(self, error: EngineError) -> None:
        self._connection.drop()
        self._tell(error.message)

    def ended(self, event: Ended) -> None:
        instance = self._instances.get(event.container)
        if instance is not None and event.container not in self._ending:
            self._ending.add(event.container)
            self._start(self._end(instance, event))

    async def _end(self, instance: ContainerInstance, event: Ended) -> None:
        """Find out how it ended, take over the last of its log, and remove it."""
        found: Found | None = None
        with suppress(EngineError):
            at = await self._connection.get()
            found = await off_loop(at.calls.look, instance.identity)
        await instance.finish_log(_COPYING)
        with suppress(EngineError):
            await self._remove(instance.identity, instance.config.plugin)
        self._ending.discard(instance.identity)
        self._instances.pop(instance.identity, None)
        instance.ended(exit_of(event, found))

    async def _remove(self, identity: str, plugin: str) -> None:
        at = await self._connection.get()
        await off_loop(at.calls.remove, identity)
        self._preparation.forget(plugin)

    def signal(self, instance: ContainerInstance) -> None:
        """Send it the signal that it is to get; when no engine answers, as soon as one does again."""
        self._start(self._signal(instance.identity, instance.signal))

    async def _signal(self, identity: str, name: str) -> None:
        with suppress(EngineError):
            at = await self._connection.get()
            await off_loop(at.calls.signal, identity, name)

    # ------------------------------------------------------------ the rest

    async def sample(self, instance: ContainerInstance, before: Usage | None) -> Usage | None:
        with suppress(EngineError):
            at = await self._connection.get()
            if not at.engine.dialect.counts:
                return await asyncio.to_thread(metrics.sample, instance.pid, before)
            used = await off_loop(at.calls.stats, instance.identity)
            return metrics.usage(*used, before) if used is not None else None
        return None

    def last_words(self, plugin: str) -> str:
        return last_words(self._home, plugin)

    async def close(self) -> None:
        for task in (self._following, *self._tasks):
            if task is not None:
                task.cancel()
        for instance in self._instances.values():
            if instance.log is not None:
                instance.log.close()
        if self._connection.present is not None and not self._instances:
            await self._remove_networks(self._connection.present)
        self._connection.drop()
        self._instances.clear()

    async def _remove_networks(self, at: Connected) -> None:
        with suppress(EngineError, TimeoutError):
            async with asyncio.timeout(_LEAVING):
                await off_loop(at.networks.remove_unused)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

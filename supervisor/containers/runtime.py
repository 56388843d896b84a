"""The Docker runtime: each plugin, and each gateway, in a hardened container that outlives the supervisor.

What a container is made of is `supervisor.containers.facts`' to say. That one ended is learned from the
engine's events; after the engine was away, from one look at all containers of this home. Nobody else's are
touched.
Secrets are never part of a container: gateways get them over their control link.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeVar

from pydantic import ValidationError

from plugins.base.control import StartConfig
from plugins.base.errors import ClaudeContainerError
from supervisor.containers import facts as containers
from supervisor.containers.calls import ContainerCalls, Found, made_of
from supervisor.containers.engine import Engine, connect
from supervisor.containers.engine_errors import EngineError
from supervisor.containers.events import Ended, Listener, Source, follow
from supervisor.containers.facts import Container, User
from supervisor.containers.logs import LogCopy
from supervisor.containers.networks import ContainerNetworks
from supervisor.containers.off_loop import off_loop
from supervisor.files import make_private, replace_file
from supervisor.gateways import tool_of
from supervisor.home import Home
from supervisor.images.of_home import image_id
from supervisor.images.recipes import image_version
from supervisor.runtimes import metrics
from supervisor.runtimes.logs import last_words
from supervisor.runtimes.metrics import Usage
from supervisor.runtimes.runtime import Exit

_COPYING: Final = 10.0  # seconds to copy the last of a log
_LEAVING: Final = 10.0  # seconds for an engine to remove networks, when the supervisor ends
_MOST_SIGNALS: Final = 64

T = TypeVar("T")


class ContainerInstance:
    """A plugin's container. Belongs to the event loop it was made in."""

    def __init__(self, config: StartConfig, identity: str, runtime: DockerRuntime) -> None:
        self.config = config
        self.identity = identity
        self.pid = 0
        self.started = time.time()
        self.signal = ""  # the last one that it was to get
        self.log: LogCopy | None = None
        self.starting = asyncio.Lock()  # its end is looked at when its start is done, log and all
        self._runtime = runtime
        self._exit: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()

    async def wait(self) -> Exit:
        return await asyncio.shield(self._exit)

    async def sample(self, before: Usage | None) -> Usage | None:
        return await self._runtime.sample(self, before)

    def terminate(self) -> None:
        self._send("SIGTERM")

    def kill(self) -> None:
        self._send("SIGKILL")

    def _send(self, name: str) -> None:
        self.signal = name
        if not self._exit.done():
            self._runtime.signal(self)

    def runs(self, found: Found) -> None:
        """Take over what the engine says of it."""
        self.pid, self.started = found.pid, found.started or self.started

    def ended(self, found: Exit) -> None:
        if not self._exit.done():
            self._exit.set_result(found)


@dataclass(frozen=True, slots=True)
class _Connected:
    """An engine that answers, and what is done with it."""

    engine: Engine
    calls: ContainerCalls
    networks: ContainerNetworks


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
        self._engine = engine
        self._user = user or containers.own_user()
        self._command = command
        self._version = version or image_version(home)
        self._instance = containers.instance_of(home)
        self._instances: dict[str, ContainerInstance] = {}
        self._connection: _Connected | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._following: asyncio.Task[Any] | None = None
        self._ending: set[str] = set()
        self._network = asyncio.Lock()
        self._tell: Callable[[str | None], None] = lambda _: None

    def watch(self, tell: Callable[[str | None], None]) -> None:
        self._tell = tell
        self._follow()

    def _follow(self) -> None:
        if self._following is None:
            self._following = asyncio.get_running_loop().create_task(follow(self))

    # ------------------------------------------------------------ starting

    async def start(self, config: StartConfig) -> ContainerInstance:
        self._follow()
        at = await self._connected()
        wanted, image = await self._prepared(at, config)
        instance = ContainerInstance(config, await off_loop(at.calls.create, wanted, image), self)
        async with instance.starting:
            self._instances[instance.identity] = instance  # now: its end may be told before its start
            await self._run(at, instance)
        return instance

    async def _run(self, at: _Connected, instance: ContainerInstance) -> None:
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

    async def _give_up(self, at: _Connected, identity: str) -> None:
        with suppress(EngineError):  # then the next start, or the next supervisor, removes it
            await off_loop(at.calls.remove, identity)

    async def _prepared(self, at: _Connected, config: StartConfig) -> tuple[Container, str]:
        """Everything that must be there before the container is made: image, networks, files."""
        image = await off_loop(image_id, at.engine, tool_of(config.plugin), self._version)
        wanted = await self._wanted(at, config)
        await asyncio.to_thread(self._write, config, wanted.inner)
        return wanted.container, image

    async def _wanted(self, at: _Connected, config: StartConfig) -> _Wanted:
        tool, network = tool_of(config.plugin), None
        if containers.has_network(config.plugin):
            async with self._network:
                network = await off_loop(at.networks.inner, tool)
                await off_loop(at.networks.outer)
        made = containers.of_plugin(config, self._home, self._user, self._version, network)
        if self._command:
            made = replace(made, command=(*self._command, containers.START))
        return _Wanted(made, containers.inside(config, network))

    def _write(self, config: StartConfig, inner: StartConfig) -> None:
        record, start = self._home.container_record(config.plugin), self._home.container_start(config.plugin)
        for directory in (record.parent, start, self._home.plugin_state(config.plugin)):
            make_private(directory)
        record.with_suffix(".seen").unlink(missing_ok=True)
        replace_file(start / "start.json", inner.model_dump_json(indent=1).encode(), mode=0o600)
        replace_file(record, config.model_dump_json(indent=1).encode(), mode=0o600)

    def _copy_log(self, at: _Connected, instance: ContainerInstance) -> None:
        plugin = instance.config.plugin
        record = self._home.container_record(plugin)
        instance.log = LogCopy(self._home.logs / f"{plugin}.log", record.with_suffix(".seen"))
        instance.log.start(lambda since: at.calls.logs(instance.identity, since))

    # ------------------------------------------------------------ what an earlier supervisor left

    async def found(self) -> tuple[str, ...]:
        try:
            at = await self._connected()
            return tuple(sorted({container.plugin for container in await off_loop(at.calls.all)}))
        except EngineError:
            return tuple(sorted(path.stem for path in self._home.container_record("_").parent.glob("*.json")))

    async def adopt(self, plugin: str) -> ContainerInstance | None:
        """One that was made of something else than it would be now is ended instead."""
        self._follow()
        try:
            at = await self._connected()
            return await self._adopt(at, plugin)
        except EngineError:
            return None

    async def _adopt(self, at: _Connected, plugin: str) -> ContainerInstance | None:
        name = f"{containers.REPOSITORY}-{self._instance}-{plugin}"
        found = await off_loop(at.calls.look, name)
        if found is None:
            return None
        config = await asyncio.to_thread(self._recorded, plugin)
        if config is None or not found.running or not await self._is_current(at, config, found):
            await off_loop(at.calls.stop, found.id, int(_LEAVING))
            await self._remove(found.id, plugin)
            return None
        instance = ContainerInstance(config, found.id, self)
        self._instances[found.id] = instance
        instance.runs(found)
        self._copy_log(at, instance)
        return instance

    async def _is_current(self, at: _Connected, config: StartConfig, found: Found) -> bool:
        try:
            image = await off_loop(image_id, at.engine, tool_of(config.plugin), self._version)
            wanted = await self._wanted(at, config)
        except ClaudeContainerError:
            return True  # nothing better could be started in its place
        return made_of(wanted.container, image) == found.made

    def _recorded(self, plugin: str) -> StartConfig | None:
        try:
            return StartConfig.model_validate_json(self._home.container_record(plugin).read_bytes())
        except (OSError, ValidationError):
            return None

    # ------------------------------------------------------------ what happens to containers

    async def connect(self) -> Source:
        at = await self._connected()
        return Source(at.calls.events, at.engine.ping, at.engine.translated)

    async def connected(self) -> None:
        known = list(self._instances.values())
        at = await self._connected()
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
        self._connection, connection = None, self._connection
        if connection is not None:
            connection.engine.close()
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
            at = await self._connected()
            found = await off_loop(at.calls.look, instance.identity)
        await self._finish_log(instance)
        with suppress(EngineError):
            await self._remove(instance.identity, instance.config.plugin)
        self._ending.discard(instance.identity)
        self._instances.pop(instance.identity, None)
        instance.ended(exit_of(event, found))

    @staticmethod
    async def _finish_log(instance: ContainerInstance) -> None:
        async with instance.starting:
            log = instance.log
        if log is not None:
            await log.wait(_COPYING)
            log.close()

    async def _remove(self, identity: str, plugin: str) -> None:
        at = await self._connected()
        await off_loop(at.calls.remove, identity)
        self._home.container_record(plugin).unlink(missing_ok=True)

    def signal(self, instance: ContainerInstance) -> None:
        """Send it the signal that it is to get; when no engine answers, as soon as one does again."""
        self._start(self._signal(instance.identity, instance.signal))

    async def _signal(self, identity: str, name: str) -> None:
        with suppress(EngineError):
            at = await self._connected()
            await off_loop(at.calls.signal, identity, name)

    # ------------------------------------------------------------ the rest

    async def sample(self, instance: ContainerInstance, before: Usage | None) -> Usage | None:
        with suppress(EngineError):
            at = await self._connected()
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
        if self._connection is not None:
            if not self._instances:
                await self._remove_networks(self._connection)
            self._connection.engine.close()
        self._instances.clear()

    async def _remove_networks(self, at: _Connected) -> None:
        with suppress(EngineError, TimeoutError):
            async with asyncio.timeout(_LEAVING):
                await off_loop(at.networks.remove_unused)

    async def _connected(self) -> _Connected:
        """The engine, connected to when it is not. Raises `EngineError`."""
        if self._connection is None:
            engine = await off_loop(self._engine)
            if self._connection is not None:  # somebody else was faster
                engine.close()
            else:
                self._connection = _Connected(
                    engine,
                    ContainerCalls(engine.api, engine.translated, self._instance, engine.podman),
                    ContainerNetworks(
                        engine.api, engine.translated, containers.labels(self._home), not engine.podman
                    ),
                )
        return self._connection

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@dataclass(frozen=True, slots=True)
class _Wanted:
    container: Container
    inner: StartConfig  # as it reads inside


def exit_of(event: Ended, found: Found | None) -> Exit:
    """How a container ended, by the engine's event and by what it says of the container afterwards."""
    code = found.exit_code if found is not None and found.exit_code is not None else event.exit_code
    if code is None:
        return Exit()
    if found is not None and found.out_of_memory and code == 128 + signal.SIGKILL:
        return Exit(signal=signal.SIGKILL, out_of_memory=True)
    if 128 < code <= 128 + _MOST_SIGNALS:
        return Exit(signal=code - 128)
    return Exit(code=code)

"""All plugins of one home: carries out what `supervisor.reconcile` finds to be done.

Work on one plugin never waits for another one's. Nothing polls: the loop sleeps until something
happened, or until the plan's own next time.
"""

from __future__ import annotations

import asyncio
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from plugins.base.control import Stop
from plugins.base.doors import is_gateway
from plugins.base.errors import ClaudeContainerError
from supervisor import reconcile
from supervisor.home import Home
from supervisor.hub import Hub
from supervisor.journal import Journal
from supervisor.managed import Managed
from supervisor.reconcile import Life, Process
from supervisor.runtimes.runtime import Exit, Instance, Runtime
from supervisor.start_config import StartConfigs
from supervisor.status import PluginStatus
from supervisor.tasks import Tasks
from supervisor.wrappers import install_wrapper, remove_wrapper

_ASKED, _TERMINATED = 5.0, 3.0  # seconds to end after Stop, and after SIGTERM


class Fleet:
    """The plugins. `files` are the tools that have a policy file, `held` those that an operator stopped."""

    def __init__(
        self, home: Home, runtime: Runtime, configs: StartConfigs, journal: Journal, hub: Hub, tasks: Tasks
    ) -> None:
        self.plugins: dict[str, Managed] = {}
        self.files: set[str] = set()
        self.held: set[str] = set()
        self._home = home
        self._runtime = runtime
        self._configs = configs
        self._journal = journal
        self._hub = hub
        self._tasks = tasks
        self._closing = False
        self._paused = False
        self._changed = asyncio.Event()

    # ------------------------------------------------------------ what is known

    def wanted(self, name: str) -> bool:
        return name in self.files and name not in self.held and not self._closing

    def status(self, name: str) -> PluginStatus:
        return self.plugins[name].status(wanted=self.wanted(name))

    def statuses(self) -> tuple[PluginStatus, ...]:
        return tuple(self.status(name) for name in sorted(self.plugins))

    def get(self, name: str) -> Managed:
        """The plugin. Raises `ClaudeContainerError` when there is none."""
        try:
            return self.plugins[name]
        except KeyError:
            raise ClaudeContainerError(
                f"There is no plugin {name!r}.", hint="See: claude-container plugin list"
            ) from None

    async def check_tool(self, name: str) -> None:
        """Raises `ClaudeContainerError` when a plugin of the tool would not find it."""
        await self._runtime.check_tool(name, self._configs.path)

    def add(self, name: str) -> Managed:
        """Take in a tool that has a policy file, or its gateway."""
        self.files.add(name)
        managed = self.plugins.setdefault(name, Managed(name))
        self.changed()
        return managed

    def discard(self, name: str) -> None:
        """The tool has no policy file any more: its plugin is stopped and forgotten."""
        self.files.discard(name)
        self.held.discard(name)
        self.changed()

    def changed(self, *, urgent: bool = True) -> None:
        """Something is different: look what is to be done, and tell who wants to know."""
        self._hub.changed("status", urgent=urgent)
        if urgent:
            self._changed.set()
            self._changed = asyncio.Event()

    def pause(self) -> None:
        """Nothing can be started for now: what was tried in vain is not tried again until `resume`."""
        self._paused = True

    def resume(self) -> None:
        """Start those at once that wait for their next attempt: what kept them from starting is over."""
        self._paused = False
        for managed in self.plugins.values():
            if managed.life.process is Process.NONE and managed.life.failures:
                managed.life = Life(restarts=managed.life.restarts)
        self.changed()

    async def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait for the condition; False when it does not come about in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not condition():
                    await self._changed.wait()
        return condition()

    # ------------------------------------------------------------ the loop

    async def run(self) -> NoReturn:
        while True:
            changed = self._changed
            held = {*self.files, *self.plugins} if self._closing else self.held
            plan = reconcile.plan(self.files, held, self._lives(), time.monotonic(), self._outdated())
            for action in plan.actions:
                if not self._waits(action):
                    self._carry_out(action)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(_loop_time(plan.next_at)):
                    await changed.wait()

    def _waits(self, action: reconcile.Action) -> bool:
        tried = self.plugins[action.plugin].life.failures if action.plugin in self.plugins else 0
        return self._paused and bool(tried) and isinstance(action, reconcile.Start)

    def _lives(self) -> dict[str, Life]:
        return {name: managed.life for name, managed in self.plugins.items()}

    def _outdated(self) -> list[str]:
        """Those whose start configuration is another one now: their gateway came, or is gone."""
        running = ((name, managed.instance) for name, managed in self.plugins.items())
        return [name for name, instance in running if instance and not self._configs.fits(instance.config)]

    def _carry_out(self, action: reconcile.Action) -> None:
        """Begin it: when this returns, the plan knows that it is under way."""
        managed = self.plugins[action.plugin]
        match action:
            case reconcile.Start():
                managed.life = reconcile.spawning(managed.life, time.monotonic())
                self._tasks.start(self._start(managed))
            case reconcile.Stop(problem=problem):
                managed.life = reconcile.ending(managed.life, problem)
                self._tasks.start(self._end(managed))
            case reconcile.Remove():
                self._remove(managed)
        self.changed()

    async def _start(self, managed: Managed) -> None:
        try:
            self._home.check_socket(managed.name)
            if not is_gateway(managed.name):
                await asyncio.to_thread(install_wrapper, self._home, managed.name)
            _remove_socket(self._home.plugin_socket(managed.name))
            instance = await self._runtime.start(self._configs.make(managed.name))
        except (ClaudeContainerError, OSError) as error:
            self._crashed(managed, f"{managed.name} cannot be started: {error}")
        else:
            self.began(managed, instance)
            self._journal.note("supervisor", managed.name, f"Started (pid {instance.pid}).")

    def began(self, managed: Managed, instance: Instance) -> None:
        """A process runs, just started or adopted."""
        managed.began(instance)
        managed.life = reconcile.alive(managed.life, time.monotonic())
        self._tasks.start(self._watch(managed, instance))
        self.changed()

    async def _watch(self, managed: Managed, instance: Instance) -> None:
        """Wait for the process to end, and note how it came to that."""
        found = await instance.wait()
        told = managed.life.process is Process.ENDING
        hung = managed.life.problem if told else ""
        managed.instance = None
        managed.policy = replace(managed.policy, enforced="", refused="")
        _remove_socket(self._home.plugin_socket(managed.name))
        if told and not hung:
            managed.life = reconcile.ended(managed.life)
            self._journal.note("supervisor", managed.name, "Stopped.")
            self.changed()
        else:
            self._crashed(managed, hung or self._how(managed.name, found))

    def _crashed(self, managed: Managed, problem: str) -> None:
        now = time.monotonic()
        managed.life = reconcile.crashed(managed.life, now, problem)
        again = f"It is started again in {managed.life.retry_at - now:g} s."
        loop = " It crashes again and again." if managed.life.looping else ""
        self._journal.note("supervisor", managed.name, f"{problem}{loop} {again}")
        self.changed()

    def _how(self, name: str, found: Exit) -> str:
        words = self._runtime.last_words(name)
        last = f" Its last words: {words}" if words and found.code else ""
        return f"{name} {found} (see: claude-container logs {name}).{last}"

    async def _end(self, managed: Managed) -> None:
        """Ask it to end, then tell it, then make it."""
        instance = managed.instance
        if instance is None:
            return
        if managed.link is not None:
            managed.link.post(Stop())
            if await _ended(instance, _ASKED):
                return
        instance.terminate()
        if not await _ended(instance, _TERMINATED):
            instance.kill()

    def _remove(self, managed: Managed) -> None:
        del self.plugins[managed.name]
        _remove_socket(self._home.plugin_socket(managed.name))
        try:
            if not is_gateway(managed.name):
                remove_wrapper(self._home, managed.name)
        except (ClaudeContainerError, OSError) as error:
            self._hub.warn(f"wrapper {managed.name}", f"A wrapper cannot be removed: {error}")
        why = "no policy needs it" if is_gateway(managed.name) else "its policy file is gone"
        self._journal.note("supervisor", managed.name, f"Removed: {why}.")

    # ------------------------------------------------------------ the beginning and the end

    async def adopt(self) -> None:
        """Take over what an earlier supervisor left running; end what does not fit."""
        for name in await self._runtime.found():
            instance = await self._runtime.adopt(name)
            if instance is None:
                continue
            if not self._configs.fits(instance.config):
                await end(instance)
                continue
            self.began(self.plugins.setdefault(name, Managed(name)), instance)
            self._journal.note("supervisor", name, f"Found running (pid {instance.pid}).")
        self._remove_leftovers()

    def _remove_leftovers(self) -> None:
        for path in self._home.sockets.glob("*.sock"):
            if path.stem not in self.plugins:
                _remove_socket(path)

    async def close(self) -> None:
        """Stop all plugins."""
        self._closing = True
        self.changed()
        idle = (Process.NONE,)
        await self.until(lambda: all(m.life.process in idle for m in self.plugins.values()), 60)


def settled(status: PluginStatus) -> bool:
    """Whether it is known how the plugin stands: it runs under its policy, or it is known why not."""
    if status.state == "running":
        return status.policy.state != "stale"
    return status.state not in ("starting", "stopping")


async def end(instance: Instance) -> None:
    """End a plugin that nobody talks to."""
    instance.terminate()
    if not await _ended(instance, _TERMINATED):
        instance.kill()
        await instance.wait()


async def _ended(instance: Instance, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await instance.wait()
    except TimeoutError:
        return False
    return True


def _loop_time(monotonic: float | None) -> float | None:
    """The same moment on the event loop's clock."""
    if monotonic is None:
        return None
    return asyncio.get_running_loop().time() + max(0.0, monotonic - time.monotonic())


def _remove_socket(path: Path) -> None:
    with suppress(OSError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()

"""The plugins in containers beside the plugins as processes, native git and `docker exec`, in turn.

Commands are typed at shells that stay: one on this machine, one in an agent's container. So each side pays
for the same, a shell that starts a program, and none for entering a container.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Final

import pytest

from supervisor.containers.facts import WORKSPACE, WRAPPERS
from supervisor.containers.names import AGENT, name_of
from supervisor.home import Home
from tests.bench.harness import Pair, interleave, percentile
from tests.bench.rows import Row
from tests.docker.place import Place, new_place

_TOOL: Final = "seq"  # in every image: its own costs no more than a name
_BATCH: Final = 4  # commands that are timed together: few, so that a machine that drifts does it for both
_BATCHES: Final = 80
_ADDITIONS: Final = 7
_LATENCY: Final = "`git rev-parse HEAD` in containers, from the agent's"
_ADDING: Final = f"`plugin add {_TOOL}`, already built, until its first answered command"


class Shell:
    """A shell that does what it is told, and says when it is done."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("a shell is told and heard by pipes")
        self._told: IO[bytes] = process.stdin
        self._heard: IO[bytes] = process.stdout

    def seconds(self, command: str, times: int = 1) -> float:
        """Run it so often, one after the other. Raises `RuntimeError` when it fails once."""
        words = f"i=0; while [ $i -lt {times} ] && {command} >/dev/null; do i=$((i+1)); done; echo $i\n"
        start = time.perf_counter()
        self._told.write(words.encode())
        self._told.flush()
        said = self._heard.readline()
        if said != f"{times}\n".encode():
            raise RuntimeError(f"`{command}` failed in a shell, which said {said!r}")
        return time.perf_counter() - start


def docker(home: Home, project: Path) -> Iterator[Row]:
    """`home` runs its plugins as processes, on `project`."""
    with ExitStack() as stack:
        try:
            place = stack.enter_context(_place(project))
        except pytest.skip.Exception as reason:
            yield Row(_LATENCY, f"not measured: {reason}", "at most 1.3x process runtime", None)
            yield Row(_ADDING, f"not measured: {reason}", "under 2 s", None)
            return
        here = stack.enter_context(_shell_here(home, project))
        agent = stack.enter_context(_shell_of_the_agent(place))
        yield from _latency(here, agent)
        yield _docker_exec(here, place)
        yield _adding(place, agent)


def _latency(here: Shell, agent: Shell) -> Iterator[Row]:
    ours = partial(agent.seconds, "git rev-parse HEAD", _BATCH)
    processes = _in_turn(partial(here.seconds, "git rev-parse HEAD", _BATCH), ours)
    yield Row(
        _LATENCY, f"{processes.ratio:.2f}x process runtime ({_each(processes)})",
        "at most 1.3x process runtime", processes.ratio <= 1.3,
    )  # fmt: skip
    native = _in_turn(partial(here.seconds, "native rev-parse HEAD", _BATCH), ours)
    yield Row(
        "the same, beside native git",
        f"{native.ratio:.2f}x native ({_each(native)})", "(for comparison)", None,
    )  # fmt: skip


def _in_turn(one: partial[float], other: partial[float]) -> Pair:
    return interleave(one, other, runs=_BATCHES, warmup=2)


def _each(pair: Pair) -> str:
    return f"{pair.native / _BATCH * 1e3:.2f} ms, {pair.ours / _BATCH * 1e3:.2f} ms"


def _docker_exec(here: Shell, place: Place) -> Row:
    container = name_of(place.home, "git")
    entering = f"docker exec -w {WORKSPACE} {container} git rev-parse HEAD"
    pair = interleave(
        partial(here.seconds, "native rev-parse HEAD"), partial(here.seconds, entering), runs=9, warmup=1
    )
    return Row(
        "`docker exec ... git rev-parse HEAD`",
        f"{pair.ratio:.0f}x native ({pair.native * 1e3:.2f} ms, {pair.ours * 1e3:.0f} ms)",
        "(for comparison)", None,
    )  # fmt: skip


def _adding(place: Place, agent: Shell) -> Row:
    place.does("build", _TOOL)
    taken = [_added(place, agent) for _ in range(_ADDITIONS)]
    middle, slowest = percentile(taken, 0.5), max(taken)
    return Row(_ADDING, f"{middle:.2f} s (slowest {slowest:.2f} s)", "under 2 s", middle < 2)


def _added(place: Place, agent: Shell) -> float:
    start = time.perf_counter()
    place.does("plugin", "add", _TOOL)
    agent.seconds(f"{WRAPPERS}/{_TOOL} 3")
    taken = time.perf_counter() - start
    place.does("plugin", "remove", _TOOL)
    return taken


@contextmanager
def _place(project: Path) -> Iterator[Place]:
    """A home of its own, whose plugins run in containers. Raises pytest's `Skipped` where they cannot."""
    with new_place(AGENT, "git", more=f"[{_TOOL}]\npackages = []\n") as place:
        place.does("build")
        place.does("start", "--runtime", "docker", "--workspace", str(project))
        yield place


@contextmanager
def _shell_here(home: Home, project: Path) -> Iterator[Shell]:
    """On this machine: `git` is the wrapper, and `native` is git itself."""
    named = home.root.parent / "named"
    named.mkdir()
    (named / "native").symlink_to(_git())
    environment = {
        "PATH": f"{home.cli}:{named}:{os.environ['PATH']}", "HOME": str(named),
        "PLUGIN_SOCKET_DIR": str(home.sockets), "GIT_CONFIG_NOSYSTEM": "1",
    }  # fmt: skip
    with _ended(_begin(["sh"], project, environment)) as shell:
        yield shell


def _git() -> str:
    return subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()


def _begin(argv: list[str], cwd: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        argv, cwd=cwd, env=dict(environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


@contextmanager
def _shell_of_the_agent(place: Place) -> Iterator[Shell]:
    with _ended(place.begin("run", "--", "sh", stdin=subprocess.PIPE)) as shell:
        yield shell


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[Shell]:
    """The shell in the process; it ends when nobody tells it anything any more."""
    with process:
        yield Shell(process)

"""Removes an agent's container when the command that it belongs to is gone, however that came about.

`python -m cli.reaper HOME NAME`, started by `claude-container run`: waits for its stdin to end, and removes
the container, unless it was told before that all is done.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from supervisor.home import Home

_DONE: Final = b"done"
_TRIES, _BETWEEN = 30, 2.0  # seconds: for an engine that restarts
_LOOKS: Final = 3  # for a container that the engine is about to make


@contextmanager
def reaping(home: Home, name: str) -> Iterator[None]:
    """See to it that the container is gone some time after this, even if this process is killed."""
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "cli.reaper", str(home.root), name], cwd="/", start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_environment(),
    ) as process:  # fmt: skip
        assert process.stdin is not None  # noqa: S101 -- a pipe was asked for
        yield
        with suppress(BrokenPipeError):
            process.stdin.write(_DONE)
            process.stdin.close()


def _environment() -> dict[str, str]:
    """What finding the engine and our own modules takes; no key of the agent's."""
    kept = ("DOCKER_HOST", "XDG_RUNTIME_DIR", "PYTHONPATH", "HOME", "PATH")
    return {name: os.environ[name] for name in kept if name in os.environ}


def main() -> None:
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    home, name = sys.argv[1:]
    if sys.stdin.buffer.read() != _DONE:
        _remove(Home(Path(home)), name)


def _remove(home: Home, name: str) -> None:
    from supervisor.containers.engine_errors import EngineError

    looks = 0
    for _ in range(_TRIES):
        with suppress(EngineError):
            looks += 1
            if _removed(home, name) or looks == _LOOKS:
                return
        time.sleep(_BETWEEN)


def _removed(home: Home, name: str) -> bool:
    from supervisor.containers import engine
    from supervisor.containers.agent import AgentContainer
    from supervisor.containers.connection import connected

    found = engine.connect()
    try:
        at = connected(found, home)
        removed = AgentContainer(at.calls, name).remove()
        at.networks.remove_all()
        return removed
    finally:
        found.close()


if __name__ == "__main__":
    main()

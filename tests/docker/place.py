"""A home and a workspace whose images are built by the engine that runs here, and the command on them."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from supervisor.assets import default_policies
from supervisor.containers.engine import Engine
from supervisor.containers.engine_errors import EngineError
from supervisor.containers.names import LABEL_INSTANCE, LABEL_RUNNER, instance_of
from supervisor.home import Home
from supervisor.images.recipes import image_version
from tests.engine import CHOICES, engine_or_skip, images_or_skip
from tests.supervisor.harness import scratch

PROGRAM: Final = Path(sys.executable).with_name("claude-container")
PATIENCE: Final = 60.0  # seconds, on a machine that does much else
KEY: Final = "canary-key-of-the-agent"


@dataclass
class Place:
    home: Home
    workspace: Path
    engine: Engine
    environment: dict[str, str] = field(default_factory=dict)

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return {
            **kept,
            "LANG": "C.UTF-8",
            "TERM": "xterm",
            "DOCKER_HOST": self.engine.url,
            **self.environment,
        }

    def begin(
        self, *arguments: str, cwd: Path | None = None, stdin: int = subprocess.DEVNULL, **more: str
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [PROGRAM, "--home", str(self.home.root), *arguments], cwd=cwd or self.workspace, stdin=stdin,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**self._environment(), **more},
        )  # fmt: skip

    def call(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[bytes]:
        return self.feed(b"", *arguments, cwd=None, **more)

    def feed(
        self, data: bytes, *arguments: str, cwd: Path | None = None, **more: str
    ) -> subprocess.CompletedProcess[bytes]:
        """Call the command with this on its stdin."""
        with self.begin(*arguments, cwd=cwd, stdin=subprocess.PIPE, **more) as process:
            out, err = process.communicate(data, timeout=PATIENCE * 4)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def does(self, *arguments: str, **more: str) -> str:
        """A command that must succeed; returns its output."""
        done = self.call(*arguments, **more)
        assert done.returncode == 0, (done.stdout + done.stderr).decode()
        return done.stdout.decode()

    def fails(self, *arguments: str, **more: str) -> str:
        """A command that must end with exit status 1 and say why; returns what it says."""
        done = self.call(*arguments, **more)
        assert (done.returncode, done.stdout) == (1, b""), (done.stdout + done.stderr).decode()
        return done.stderr.decode()

    def agent(self, *command: str, **more: str) -> str:
        """What a command in the agent's container prints."""
        return self.does("run", "--", *command, **more)

    def terminal(self, *command: str, rows: int = 24, columns: int = 80) -> Terminal:
        return Terminal(
            [str(PROGRAM), "--home", str(self.home.root), "run", "--", *command],
            self._environment(), self.workspace, rows, columns,
        )  # fmt: skip

    def agents_containers(self) -> list[str]:
        """The agents' containers of this home, running or not, by name."""
        labels = [f"{LABEL_INSTANCE}={instance_of(self.home)}", LABEL_RUNNER]
        found = self.engine.api.containers(all=True, filters={"label": labels})
        return [each["Names"][0].lstrip("/") for each in found]

    def networks(self) -> list[str]:
        """The networks of this home, by name."""
        ours = {"label": f"{LABEL_INSTANCE}={instance_of(self.home)}"}
        return [each["Name"] for each in self.engine.api.networks(filters=ours)]

    def tag(self, tool: str) -> str:
        return f"claude-container/{tool}:{image_version(self.home)}"

    def clean(self) -> None:
        """Remove the images that this home had built."""
        suffix = f":{image_version(self.home)}"
        for found in self.engine.api.images():
            for tag in found.get("RepoTags") or ():
                if tag.endswith(suffix):
                    with suppress(EngineError), self.engine.translated():
                        self.engine.api.remove_image(tag)


@contextmanager
def new_place(*tools: str, more: str = "") -> Iterator[Place]:
    """A home whose images are made of the tests' base; those of `tools` are in the engine's cache already."""
    engine = engine_or_skip()
    try:
        if tools:
            images_or_skip(engine, *tools)
        with scratch() as (home, workspace):
            (home.config / "images.toml").write_text(CHOICES + more)
            for policy in default_policies():
                shutil.copy(policy, home.config)
            place = Place(home, workspace, engine)
            try:
                yield place
            finally:
                until(lambda: not place.agents_containers(), "the agents' containers are gone")
                place.clean()
    finally:
        engine.close()


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition that something else brings about."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


class Terminal:
    """A command on a terminal of its own, as a person types at it. Use as a context manager."""

    def __init__(
        self, command: list[str], environment: dict[str, str], cwd: Path, rows: int, columns: int
    ) -> None:
        self._command = command
        self._environment = environment
        self._cwd = cwd
        self._size = (rows, columns)
        self._seen = b""

    def __enter__(self) -> Self:
        self._own, theirs = pty.openpty()
        self.resize(*self._size)
        self.process = subprocess.Popen(
            self._command, env=self._environment, cwd=self._cwd, preexec_fn=lambda: os.login_tty(theirs)
        )  # fmt: skip
        os.close(theirs)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hang_up()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(PATIENCE)
        self.process.kill()
        self.process.wait()

    def resize(self, rows: int, columns: int) -> None:
        """As the terminal's window does; the command is told by SIGWINCH."""
        termios.tcsetwinsize(self._own, (rows, columns))

    def type(self, keys: bytes) -> None:
        os.write(self._own, keys)

    def sees(self, text: bytes) -> None:
        """Wait for the text, and forget what came before it."""
        deadline = time.monotonic() + PATIENCE
        while text not in self._seen:
            assert time.monotonic() < deadline, (text, self._seen)
            if select.select([self._own], [], [], 0.2)[0]:
                self._seen += self._read()
        self._seen = self._seen.partition(text)[2]

    def _read(self) -> bytes:
        try:
            return os.read(self._own, 65536)
        except OSError:  # the other end is closed
            return b""

    def hang_up(self) -> None:
        if self._own >= 0:
            os.close(self._own)
            self._own = -1

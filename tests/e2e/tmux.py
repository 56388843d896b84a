"""A program in a real terminal (tmux), as a person sees and types it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

_PATIENCE = 30.0  # seconds


class Terminal:
    """One tmux session with one pane, on a tmux server of its own. Use as a context manager."""

    def __init__(self, scratch: Path, *, columns: int = 80, rows: int = 24) -> None:
        self._tmux = [shutil.which("tmux") or "tmux", "-S", str(scratch / "tmux"), "-f", os.devnull]
        self._size = ["-x", str(columns), "-y", str(rows)]
        self._environment = {name: value for name, value in os.environ.items() if name != "TMUX"}

    def __enter__(self) -> Self:
        environment = {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "ENV": ""}
        settings = [argument for pair in environment.items() for argument in ("-e", "=".join(pair))]
        self._run("new-session", "-d", *self._size, *settings, "sh")
        # The shell's own prompt differs between users.
        self.line("PS1='ready> '; clear")
        self.until(lambda: self.text.strip() == "ready>", "the shell's prompt")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run("kill-server")

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._tmux, *arguments], env=self._environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    @property
    def text(self) -> str:
        return self._run("capture-pane", "-p")

    def flag(self, name: str) -> str:
        """A format of tmux(1), such as `alternate_on`."""
        return self._run("display-message", "-p", f"#{{{name}}}").strip()

    def type(self, *keys: str) -> None:
        self._run("send-keys", *keys)

    def line(self, text: str) -> None:
        self._run("send-keys", "-l", text)
        self.type("Enter")

    def sees(self, text: str) -> None:
        self.until(lambda: text in self.text, repr(text))

    def until(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"{what} never came; the terminal says:\n{self.text}")
            time.sleep(0.05)

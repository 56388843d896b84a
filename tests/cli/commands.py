"""Calling the `claude-container` command in this process, errors and exit codes included."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from cli import main as program
from supervisor.home import Home


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Commands:
    """The command, on one home."""

    home: Home
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> Done:
        self.capsys.readouterr()
        self.monkeypatch.setattr(sys, "argv", ["claude-container", "--home", str(self.home.root), *arguments])
        with pytest.raises(SystemExit) as ended:
            program.main()
        out, err = self.capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Done(ended.value.code, out, err)

    def fails(self, *arguments: str) -> str:
        """Run one that must end with exit status 1: one error line, then at most one hint. Returns stderr."""
        done = self(*arguments)
        lines = done.err.splitlines()
        assert (done.status, done.out) == (1, "")
        assert [line.partition(":")[0] for line in lines] == ["error", "hint"][: len(lines)]
        return done.err

"""How far the build of an image is, from the lines that the engine prints: one live line on a terminal,
else a line for each step."""

from __future__ import annotations

import shutil
import sys
from typing import Protocol

import click

from cli.output import short
from supervisor.images.steps import step


class Progress(Protocol):
    def line(self, text: str) -> None:
        """Take a line of the build's output."""

    def end(self) -> None:
        """The build has ended, well or not."""


def progress(tool: str, *, verbose: bool) -> Progress:
    """The one for where output goes: progress is no result, and so written to stderr."""
    if verbose:
        return Verbose()
    return Live(tool) if sys.stderr.isatty() else Plain(tool)


class Verbose:
    """Everything, as it comes."""

    def line(self, text: str) -> None:
        click.echo(text, err=True)

    def end(self) -> None:
        pass


class Plain:
    """A line for each step."""

    def __init__(self, tool: str) -> None:
        self._tool = tool

    def line(self, text: str) -> None:
        begun = step(text)
        if begun is not None:
            click.echo(short(f"{self._tool}: step {begun.number}: {begun.text}", 110), err=True)

    def end(self) -> None:
        pass


class Live:
    """One line that is written over: the step, and what it says at the moment."""

    def __init__(self, tool: str) -> None:
        self._tool = tool
        self._step = ""

    def line(self, text: str) -> None:
        begun = step(text)
        if begun is not None:
            self._step, text = f"step {begun.number}", begun.text
        if text.strip():
            self._show(f"{self._tool}: {self._step}: {' '.join(text.split())}")

    def end(self) -> None:
        click.echo("\r\x1b[K", nl=False, err=True)

    def _show(self, text: str) -> None:
        columns = shutil.get_terminal_size().columns
        click.echo(f"\r\x1b[K{short(text, max(20, columns - 1))}", nl=False, err=True)

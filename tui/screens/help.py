"""`?`: what every key does on the screen in front."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from textual.content import Content

from tui.commands import GLOBAL, Command
from tui.prose import heading, lines, styled
from tui.screens.base import DeskScreen
from tui.screens.dialogs import Reading

_MOVING = (
    ("↑ ↓ PgUp PgDn", "Move in a list."),
    ("Home End", "Go to the first or the last row; at the end, lists follow what is new."),
    ("Enter", "Open what the cursor is on; a double click does the same."),
    ("Tab", "Go to the next part of the screen."),
    ("Ctrl+P", "Find any command by its name."),
)


def help_for(screen: DeskScreen) -> Reading:
    parts = [heading(f"On {screen.MODE.capitalize()}"), *_commands(screen.COMMANDS_HERE), Content()]
    parts += [heading("Moving"), *(_line(key, what) for key, what in _MOVING), Content()]
    parts += [heading("Everywhere"), *_commands(GLOBAL)]
    return Reading("Help", lines(parts))


def _commands(commands: Iterable[Command]) -> Iterator[Content]:
    for command in commands:
        yield _line(command.key_text, command.help)


def _line(key: str, what: str) -> Content:
    """The key, and what it does, with a hanging indent for narrow terminals."""
    indented = textwrap.fill(what, 52, subsequent_indent=" " * 17)
    return Content.assemble("  ", styled(f"{key:<15}", "accent"), indented)

"""How the commands print: aligned columns for people, JSON for programs."""

from __future__ import annotations

import difflib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click
from pydantic import BaseModel

from plugins.base.text import printable

if TYPE_CHECKING:
    from plugins.base.control import Update

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def examples(*commands: str, after: Sequence[str] = ()) -> str:
    """A command's epilog: lines to try, kept as they are."""
    lines = ["Examples:", *(f"  claude-container {command}" for command in commands)]
    return (
        "\b\n"
        + "\n".join([*lines, *([""] if after else [])])
        + ("\n\b\n" + "\n".join(after) if after else "")
    )


def emit(data: Any) -> None:
    """Print models, and lists and dicts of them, as indented JSON."""
    click.echo(json.dumps(data, indent=2, default=_plain, ensure_ascii=False))


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return str(value)


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print rows under headings, each column as wide as its widest cell; `empty` when there is no row."""
    cells = [[printable(str(cell)) for cell in row] for row in rows]
    if not cells:
        click.echo(empty)
        return
    widths = [max(len(row[i]) for row in [list(headings), *cells]) for i in range(len(headings))]
    for row in [list(headings), *cells]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def echo_diff(old: str, new: str, old_name: str, new_name: str) -> None:
    """Print how two texts differ, as diff -u does; nothing when they do not."""
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), old_name, new_name, lineterm="")
    for line in lines:
        click.echo(printable(line.expandtabs()))


def update_line(update: Update) -> str:
    """What a push does to one ref."""
    return f"{printable(update.ref)}  {update.old[:12]} -> {update.new[:12]}  {update.effect}"


def clock(seconds: float | None) -> str:
    """A time of day, with the date when it is not today's."""
    if seconds is None:
        return "-"
    then = time.localtime(seconds)
    today = time.localtime()
    same_day = (then.tm_year, then.tm_yday) == (today.tm_year, today.tm_yday)
    return time.strftime("%H:%M:%S" if same_day else "%Y-%m-%d %H:%M:%S", then)


def age(seconds: float) -> str:
    """A duration in its largest fitting unit: 12s, 5m, 3h, 2d."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{max(0, int(seconds))}s"


def short(text: str, width: int) -> str:
    """The text cut to `width` characters, with an ellipsis where it was cut."""
    text = printable(text)
    return text if len(text) <= width else text[: width - 1] + "…"


Echo = Callable[[str], None]

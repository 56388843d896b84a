"""audit list|show|export|verify: what was decided, when, and why."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from cli.output import clock, emit, examples, json_option, short, table, update_line
from plugins.base.errors import ClaudeContainerError
from plugins.base.model import Verdict
from plugins.base.text import command_line, printable
from supervisor.audit import chain
from supervisor.audit.export import export as export_rows
from supervisor.audit.export import moment, plain
from supervisor.audit.reader import AuditFilter, AuditReader, AuditRow
from supervisor.home import Home

if TYPE_CHECKING:
    from plugins.base.control import AuditEvent

pass_home = click.make_pass_decorator(Home)

F = TypeVar("F", bound=Callable[..., object])
_VERDICTS = (*(verdict.value for verdict in Verdict), "info")
_REFUSED = (Verdict.BLOCKED, Verdict.HELD, Verdict.DENIED, Verdict.EXPIRED, Verdict.ERROR)


def filter_options(command: F) -> F:
    """The options that narrow down rows, the same for list and export."""
    for option in (
        click.option("--plugin", default="", help="Only this plugin."),
        click.option(
            "--verdict", "verdicts", multiple=True, type=click.Choice(_VERDICTS), help="Only these."
        ),
        click.option("--blocked", is_flag=True, help="Only what was not let through."),
        click.option("--search", default="", help="Only rows that contain this text."),
    ):
        command = option(command)
    return command


def _filter(plugin: str, verdicts: tuple[str, ...], blocked: bool, search: str) -> AuditFilter:
    return AuditFilter(plugin=plugin, verdicts=_REFUSED if blocked else verdicts, text=search)


def _reader(home: Home) -> AuditReader:
    if not home.audit_db.exists():
        raise ClaudeContainerError(
            f"There is no audit log in {home.state} yet.", hint="Run: claude-container start"
        )
    return AuditReader(home.audit_db)


@click.group()
def audit() -> None:
    """Read, export and verify the audit log."""


@audit.command(
    "list",
    epilog=examples(
        "audit list --blocked",
        "audit list --plugin git --search release -n 200",
        "audit list --verdict denied --json",
    ),
)
@filter_options
@click.option("-n", "--limit", default=50, show_default=True, help="How many of the latest rows.")
@json_option
@pass_home
def list_rows(
    home: Home, plugin: str, verdicts: tuple[str, ...], blocked: bool, search: str, limit: int, as_json: bool
) -> None:
    """List the latest decisions, newest last."""
    rows = _reader(home).latest(_filter(plugin, verdicts, blocked, search), limit)[::-1]
    if as_json:
        emit([plain(row) for row in rows])
        return
    table(
        ("SEQ", "TIME", "VERDICT", "LAYER", "COMMAND", "RULE", "EXIT"),
        [_row(row) for row in rows],
        empty="No decision matches.",
    )


def _row(row: AuditRow) -> tuple[object, ...]:
    event = row.event
    command = short(command_line(event.plugin, event.args) if event.args else event.sentence, 60)
    return (
        row.seq, clock(event.time), event.verdict, event.layer, command, event.rule or "-",
        "-" if row.exit_code is None else row.exit_code,
    )  # fmt: skip


@audit.command()
@click.argument("seq", type=int)
@json_option
@pass_home
def show(home: Home, seq: int, as_json: bool) -> None:
    """Show everything that is recorded of one decision."""
    row = _reader(home).row(seq)
    if row is None:
        raise ClaudeContainerError(f"There is no row {seq}.", hint="See: claude-container audit list")
    if as_json:
        emit(plain(row))
        return
    for key, value in (plain(row) | _read(row.event)).items():
        if value not in ("", None, [], ()):
            click.echo(f"{key:<12} {printable(str(value))}")
    for update in row.event.updates:
        click.echo(f"{'update':<12} {update_line(update)}")


def _read(event: AuditEvent) -> dict[str, object]:
    """What people read otherwise than programs do."""
    return {"time": moment(event.time), "args": shlex.join(event.args), "updates": ()}


@audit.command()
@filter_options
@click.option("--format", "format_", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="A file instead of stdout."
)
@pass_home
def export(
    home: Home,
    plugin: str,
    verdicts: tuple[str, ...],
    blocked: bool,
    search: str,
    format_: str,
    output: Path | None,
) -> None:
    """Write the decisions, oldest first, as JSON lines or CSV."""
    reader, chosen = _reader(home), _filter(plugin, verdicts, blocked, search)
    if output is None:
        export_rows(reader, chosen, format_, sys.stdout)
        return
    try:
        with output.open("x", encoding="utf-8", newline="") as file:
            count = export_rows(reader, chosen, format_, file)
    except OSError as error:
        raise ClaudeContainerError(
            f"Cannot write {output}: {error.strerror}.", hint="Name a new file in a directory you can write."
        ) from error
    click.echo(f"Wrote {count} rows to {output}.", err=True)


@audit.command()
@json_option
@pass_home
def verify(home: Home, as_json: bool) -> int:
    """Check the hash chain: no recorded row was edited, removed, added or moved. Exits 1 when one was."""
    _reader(home)
    result = chain.verify(home.audit_db)
    if as_json:
        emit({"ok": result.ok, "rows": result.rows, "first_bad": result.first_bad, "problem": result.problem})
    elif result.ok:
        click.echo(f"The chain holds over {result.rows} rows.")
    else:
        raise ClaudeContainerError(
            f"The audit log was changed: {result.problem}",
            hint="Keep a copy of the state directory as it is, and compare it with an earlier export.",
        )
    return 0 if result.ok else 1

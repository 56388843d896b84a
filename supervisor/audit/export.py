"""Writing the audit log for other programs: JSON lines, exact, or CSV, safe to open in a spreadsheet.

Rows are read and written in small portions: a log of any size passes through little memory.
"""

from __future__ import annotations

import csv
import json
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain as concatenated
from typing import TextIO

from plugins.base.control import Update
from plugins.base.errors import ClaudeContainerError
from supervisor.audit.reader import AuditFilter, AuditReader, AuditRow

_PORTION = 500  # rows
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a cell that starts so is calculated (OWASP, "CSV Injection")

_COLUMNS = (
    "seq", "time", "plugin", "layer", "verdict", "rule", "rule_line", "reason", "args", "cwd", "remote",
    "updates", "request", "exit_code", "duration_ms", "caller", "policy", "command", "id",
)  # fmt: skip


def export(reader: AuditReader, chosen: AuditFilter, format_: str, out: TextIO) -> int:
    """Write all rows that match now, oldest first, as "jsonl" or "csv"; returns how many."""
    if format_ not in ("jsonl", "csv"):
        raise ClaudeContainerError(f"There is no format {format_!r}.", hint="Choose jsonl or csv.")
    rows = _matching(reader, chosen)
    return _write_csv(rows, out) if format_ == "csv" else _write_jsonl(rows, out)


def _matching(reader: AuditReader, chosen: AuditFilter) -> Iterator[AuditRow]:
    seqs = reader.index(chosen)
    portions = (seqs[first : first + _PORTION] for first in range(0, len(seqs), _PORTION))
    return concatenated.from_iterable(map(reader.numbered, portions))


def _write_jsonl(rows: Iterator[AuditRow], out: TextIO) -> int:
    count = 0
    for row in rows:
        out.write(json.dumps(plain(row)) + "\n")
        count += 1
    return count


def plain(row: AuditRow) -> dict[str, object]:
    """The row as JSON data: its number, everything recorded of the event, and how the command ended."""
    event = row.event.model_dump(mode="json")
    return {"seq": row.seq, **event, "exit_code": row.exit_code, "duration_ms": row.duration_ms}


def _write_csv(rows: Iterator[AuditRow], out: TextIO) -> int:
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    count = 0
    for row in rows:
        count += 1
        cells = {
            **plain(row),
            "time": moment(row.event.time),
            "args": shlex.join(row.event.args),
            "updates": "; ".join(map(_update, row.event.updates)),
        }
        writer.writerow([_cell(cells[column]) for column in _COLUMNS])
    return count


def moment(seconds: float) -> object:
    """The time in ISO 8601, UTC; one outside the calendar stays a number."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError, OSError):
        return seconds


def _update(update: Update) -> str:
    return f"{update.ref} {update.old} -> {update.new} ({update.effect})"


def _cell(value: object) -> object:
    """Text that a spreadsheet would calculate gets an apostrophe in front; numbers stay numbers."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value

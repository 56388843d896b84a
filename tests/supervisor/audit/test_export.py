"""Exports: exact as JSON lines, harmless as CSV."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from plugins.base.control import AuditEvent
from plugins.base.errors import ClaudeContainerError
from supervisor.audit.export import export
from supervisor.audit.reader import AuditFilter, AuditReader
from tests.supervisor.audit.examples import event, events, fill, outcome

_ALL = AuditFilter()


async def _exported(path: Path, stored: list[AuditEvent], format_: str, chosen: AuditFilter = _ALL) -> str:
    await fill(path, stored, [outcome(1, exit_code=-9)])
    out = io.StringIO(newline="")
    count = export(AuditReader(path), chosen, format_, out)
    assert count == len(AuditReader(path).index(chosen))
    return out.getvalue()


async def test_json_lines_give_back_exactly_what_was_recorded(tmp_path: Path) -> None:
    stored = [event(0, args=("=1+1", "日本", "\\n", '"')), *events(range(1, 1200))]
    lines = (await _exported(tmp_path / "audit.db", stored, "jsonl")).splitlines()
    plain = [json.loads(line) for line in lines]
    assert [AuditEvent.model_validate(row) for row in plain] == stored
    assert [row["seq"] for row in plain] == [*range(1, 1201)]
    assert [row["exit_code"] for row in plain[:3]] == [None, -9, None]


async def test_only_what_matches_is_exported(tmp_path: Path) -> None:
    text = await _exported(
        tmp_path / "audit.db", events(range(9)), "jsonl", AuditFilter(verdicts=("blocked",))
    )
    assert [json.loads(line)["seq"] for line in text.splitlines()] == [1, 4, 7]


async def test_csv_has_one_row_for_each_decision_that_people_can_read(tmp_path: Path) -> None:
    text = await _exported(
        tmp_path / "audit.db", [event(0, args=("commit", "-m", "two words")), event(1)], "csv"
    )
    first, second = csv.DictReader(io.StringIO(text, newline=""))
    assert first["time"] == "1970-01-01T00:16:40.000+00:00"
    assert first["args"] == "commit -m 'two words'"
    assert first["updates"] == f"refs/heads/main {'1' * 40} -> {'2' * 40} (fast-forward)"
    assert (first["exit_code"], second["exit_code"]) == ("", "-9")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
async def test_no_csv_cell_is_a_formula(tmp_path: Path, start: str) -> None:
    hostile = f'{start}cmd|" /C calc"!A0'
    stored = event(
        0, args=(f"{start}x",), reason=hostile, cwd=hostile, remote=hostile, rule=hostile, request=hostile
    )
    text = await _exported(tmp_path / "audit.db", [stored], "csv")
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    for name, cell in row.items():
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r")), name
    assert row["reason"] == f"'{hostile}"


async def test_a_time_outside_the_calendar_is_exported_as_a_number(tmp_path: Path) -> None:
    text = await _exported(tmp_path / "audit.db", [event(0, time=1e300)], "csv")
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert row["time"] == "1e+300"


async def test_an_unknown_format_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ClaudeContainerError, match="'xml'"):
        await _exported(tmp_path / "audit.db", [event(0)], "xml")

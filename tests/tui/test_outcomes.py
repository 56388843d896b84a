from __future__ import annotations

from typing import Any

import pytest

from supervisor.audit.reader import AuditRow
from tests.tui.fake import row
from tui.outcomes import let_through, one_for_each_command


def of_one_command(seq: int, verdict: str, **changes: Any) -> AuditRow:
    return row(seq, **{"command": "1" * 32, "verdict": verdict, "rule": "", **changes})


@pytest.mark.parametrize(
    ("rows", "shown"),
    [
        ([("allowed", {})], 1),
        ([("allowed", {}), ("info", {"layer": "wire"})], 1),  # how it ended is no decision
        ([("allowed", {}), ("blocked", {"layer": "wire"})], None),
        ([("allowed", {}), ("held", {}), ("approved", {})], 3),
        ([("allowed", {"rule": "blocked_branches"})], None),  # a later layer has still to judge
    ],
)
def test_a_command_ran_when_its_last_decision_let_it_through(
    rows: list[tuple[str, dict[str, Any]]], shown: int | None
) -> None:
    made = [of_one_command(seq, verdict, **changes) for seq, (verdict, changes) in enumerate(rows, 1)]
    assert [each.seq for each in let_through(made)] == ([] if shown is None else [shown])


def test_a_command_is_listed_once_whatever_operators_answered() -> None:
    rows = [
        row(3, verdict="denied", layer="approval"),
        of_one_command(2, "denied"),
        of_one_command(1, "held"),
    ]
    assert [each.seq for each in one_for_each_command(rows)] == [2]

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.tui.fake import POLICY, hash_of
from tui import format as told
from tui.backend import Diagnostic, PolicyText
from tui.commands import APPROVALS, AUDIT, DASHBOARD, GLOBAL, LOGS
from tui.commands import POLICY as POLICY_COMMANDS
from tui.policy_buffer import PolicyBuffer, changes
from tui.widgets.columns import GAP, Column, fit
from tui.widgets.line_list import _sized

COLUMNS = (Column("a", 10, 9), Column("b", 10, 1), Column("c", 10, 5, grow=True), Column("d", 10, 1))


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (46, [10, 10, 10, 10]),
        (50, [10, 10, 14, 10]),
        (45, [10, 10, 21, 0]),
        (30, [10, 0, 18, 0]),
        (21, [10, 0, 0, 0]),
        (3, [10, 0, 0, 0]),
    ],
)
def test_columns_of_the_lowest_rank_go_first(width: int, expected: list[int]) -> None:
    assert fit(COLUMNS, width) == expected


def test_a_column_of_the_highest_rank_shrinks_before_another_goes() -> None:
    columns = (Column("a", 10, 9), Column("b", 30, 9, grow=True), Column("c", 10, 8))
    assert fit(columns, 42) == [10, 30, 0]
    assert fit(columns, 26) == [10, 14, 0]
    assert fit(columns, 23) == [10, 0, 0]


@given(st.integers(0, 300))
def test_columns_never_take_more_than_there_is_but_for_the_last_one(width: int) -> None:
    widths = [each for each in fit(COLUMNS, width) if each]
    assert len(widths) == 1 or sum(widths) + GAP * (len(widths) - 1) <= width


@given(st.text(), st.integers(1, 40), st.booleans())
def test_a_cell_is_exactly_as_wide_as_its_column(text: str, width: int, right: bool) -> None:
    assert cell_len(_sized(text, width, right=right)) == width


@pytest.mark.parametrize("here", [DASHBOARD, APPROVALS, AUDIT, POLICY_COMMANDS, LOGS])
def test_no_key_means_two_things_on_one_screen(here: tuple[object, ...]) -> None:
    keys = [command.key for command in (*here, *GLOBAL)]  # type: ignore[attr-defined]
    assert len(keys) == len(set(keys))


def test_every_command_says_in_a_sentence_what_it_does() -> None:
    for command in (*GLOBAL, *DASHBOARD, *APPROVALS, *AUDIT, *POLICY_COMMANDS, *LOGS):
        assert command.help.endswith("."), command
        assert len(command.name) <= 14, command


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0, "0"), (9_999, "9,999"), (10_000, "10k"), (999_999, "999k"), (3_400_000, "3.4M")],
)
def test_large_numbers_fit_their_column(number: int, expected: str) -> None:
    assert told.short_number(number) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.84, "0.8 ms"), (31.2, "31 ms"), (999.4, "999 ms"), (1500, "1.5 s"), (90_000, "90 s")],
)
def test_durations_fit_their_column(value: float, expected: str) -> None:
    assert told.milliseconds(value) == expected


def test_a_countdown_never_goes_below_zero() -> None:
    assert told.countdown(100.0, 11.0) == "1:29"
    assert told.countdown(100.0, 500.0) == "0:00"
    assert told.countdown(None, 0.0) == ""


# ---------------------------------------------------------------- the policy under edit


def file(text: str) -> PolicyText:
    from pathlib import Path

    return PolicyText(text, hash_of(text), Path("/config/git.yaml"))


def test_typed_text_survives_a_change_on_disk() -> None:
    buffer = PolicyBuffer.of("git", file(POLICY))
    buffer.type("mine")
    assert not buffer.see(file("theirs"))
    assert buffer.text == "mine"
    assert buffer.overtaken


def test_a_change_on_disk_to_what_was_typed_is_no_conflict() -> None:
    buffer = PolicyBuffer.of("git", file(POLICY))
    buffer.type("mine")
    assert buffer.see(file("mine"))
    assert not buffer.dirty
    assert not buffer.overtaken


def test_what_is_wrong_is_told_before_what_is_unsaved() -> None:
    buffer = PolicyBuffer.of("git", file(POLICY))
    assert buffer.state(hash_of(POLICY)) == ("✓ enforced", "good")
    assert buffer.state("") == ("… saved, not enforced yet", "warn")
    buffer.type("mine")
    buffer.diagnostics, buffer.checked = (Diagnostic(1, 1, "No."),), True
    assert buffer.state("")[0].startswith("✖ invalid: 1 problem; nothing is enforced, all is refused")


def test_equal_texts_have_no_changes() -> None:
    assert changes(POLICY, POLICY, "a", "b") == ""
    assert "+b" in changes("a\n", "b\n", "a", "b")

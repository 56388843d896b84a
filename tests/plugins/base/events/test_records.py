"""What is recorded and told: bounded, printable, free of secrets; and the numbers about it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.base.control import AuditEvent, Outcome
from plugins.base.control.asking import describe
from plugins.base.events.records import About, Recorder, safe_args, safe_text
from plugins.base.events.spool import Spool
from plugins.base.events.stats import Counters
from plugins.base.model import Decision, Layer, Operation, Reason, RefUpdate, Verdict
from plugins.base.refusal import error_text, plain_refusal
from plugins.base.text import printable

ABOUT = About("c" * 32, ("push",), "/w", "uid=1 pid=2", "h" * 64)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.binary().map(
    lambda data: data.decode("utf-8", "surrogateescape")
)


class Lines(Spool):
    """Keeps records in a list."""

    def __init__(self) -> None:
        self.events: list[bytes] = []
        self.outcomes: list[bytes] = []

    def event(self, record: bytes) -> None:
        self.events.append(record)

    def outcome(self, record: bytes) -> None:
        self.outcomes.append(record)


def test_a_record_is_what_the_supervisor_reads() -> None:
    lines = Lines()
    recorder = Recorder("git", lines)
    update = RefUpdate("refs/heads/x", "0" * 40, "1" * 40, True)
    operation = Operation("git", Layer.HOOK, ("push",), "/w", "file:///up", (update,))
    decision = Decision((Reason("allow_tags", "No tags.", line=9), Reason("other", "Nor this.")))
    recorder.decision(ABOUT, Layer.HOOK, Verdict.DENIED, operation, decision, reason="No.", request="r1")
    recorder.outcome("c" * 32, 3, 1.23456)
    event = AuditEvent.model_validate_json(lines.events[0])
    outcome = Outcome.model_validate_json(lines.outcomes[0])
    assert (event.verdict, event.rule, event.rule_line, event.request) == ("denied", "allow_tags", 9, "r1")
    assert event.reason == "No tags. No. Nor this."
    assert (event.remote, event.updates[0].ref, event.updates[0].fast_forward) == (
        "file:///up",
        "refs/heads/x",
        True,
    )
    assert (outcome.command, outcome.exit_code, outcome.duration_ms) == ("c" * 32, 3, 1.235)
    assert event.id != outcome.id


@given(st.lists(ANY_TEXT))
def test_recorded_arguments_are_printable_and_bounded(args: list[str]) -> None:
    safe = safe_args(args)
    assert all(printable(arg) == arg for arg in safe)
    assert sum(map(len, safe)) < 4300
    json.dumps(safe).encode("utf-8")


@pytest.mark.parametrize(
    "args", [["x" * 10_000_000], ["y"] * 1_000_000, ["\udcff" * 100_000], [""] * 100_000]
)
def test_huge_command_lines_are_recorded_in_part(args: list[str]) -> None:
    safe = safe_args(args)
    assert sum(map(len, safe)) + len(safe) < 9000
    assert "…" in safe[-1]


def test_text_is_one_line_and_bounded() -> None:
    assert safe_text("a\nb\x1b[31m\u202e\udcff") == "a\\nb\\x1b[31m\\u202e\\xff"
    assert len(safe_text("x" * 100_000)) == 1024


def test_a_refusal_has_reasons_rules_one_hint_and_the_request() -> None:
    decision = Decision(
        (
            Reason("blocked_subcommands", "`npm publish` is blocked.", "Ask.", line=4),
            Reason("allowed_subcommands", "Only these may run: \x1b[2J.", "Other."),
        )
    )
    assert plain_refusal(decision, "r1", "Nobody is there.") == (
        "error: `npm publish` is blocked.\n"
        "error: also: Only these may run: \\x1b[2J.\n"
        "rule: blocked_subcommands (policy line 4)\n"
        "rule: allowed_subcommands\n"
        "hint: Ask.\n"
        "note: Nobody is there.\n"
        "request: r1\n"
    )
    assert error_text("It failed.\n", "Try.") == "error: It failed.\\n\nhint: Try.\n"


async def test_details_for_the_operator_are_safe_and_never_hinder_the_question() -> None:
    async def details() -> str:
        return "line\n\x1b[31mred https://u:pw12345@h/\n\ttab"

    async def broken() -> str:
        raise ValueError

    assert await describe(details()) == "line\n\\x1b[31mred https://[redacted]@h/\n\ttab"
    assert await describe(broken()) == ""


def test_percentiles_are_those_of_the_latest_commands() -> None:
    counters = Counters()
    assert counters.snapshot(3).p95_ms == 0
    counters.latencies.extend(range(10_000))
    counters.latencies.extend(float(number) for number in range(1, 513))
    stats = counters.snapshot(3)
    assert (stats.p50_ms, stats.p95_ms, stats.spooled) == (256, 487, 3)

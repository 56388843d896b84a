"""Blocked commands that wait for the operator, and everything that can become of them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from plugins.base.control import Answer, Ask, Lockdown
from tests.plugins.base.harness import Box, FdsCall, plugin_for

HOLD = """\
plugin: touch
version: 1
rules:
  blocked_subcommands: [bad]
approvals: {hold_seconds: 60, grant_minutes: 15, never: []}
"""


@asynccontextmanager
async def holding() -> AsyncIterator[Box]:
    async with plugin_for("touch", HOLD) as box:
        yield box


async def _held(box: Box, request: str = "r1") -> tuple[FdsCall, Ask]:
    """A blocked command that waits, with its question."""
    call = await box.start_with_fds("bad")
    ask = await box.supervisor.next_ask()
    await box.supervisor.answer(ask, "waiting", request)
    assert (
        await call.error_line()
        == f"touch: waiting for the operator, request {request} (up to 60 s)\n".encode()
    )
    return call, ask


def _ran(box: Box) -> bool:
    return (box.workspace / "bad").exists()


async def test_the_operator_is_told_what_it_is_about() -> None:
    async with holding() as box:
        call, ask = await _held(box)
        call.hang_up()
    assert (ask.plugin, ask.layer, ask.args, ask.cwd) == ("touch", "argv", ("bad",), str(box.workspace))
    assert ask.reasons == (("blocked_subcommands", 4, "`touch bad` is blocked."),)
    assert (ask.hold_seconds, ask.grant_minutes) == (60, 15)
    assert ask.caller.startswith("uid=")


async def test_an_approved_command_runs_and_all_of_it_is_recorded() -> None:
    async with holding() as box:
        call, ask = await _held(box)
        await box.supervisor.until(lambda: box.supervisor.stats.waiting == 1)
        assert not _ran(box)
        await box.supervisor.answer(ask, "approved")
        answer = await call.finish()
        event = await box.supervisor.recorded("bad", verdict="approved")
        outcome = await box.supervisor.ended(event)
        assert _ran(box)
    assert (answer.exit_code, outcome.exit_code) == (0, 0)
    assert box.supervisor.verdicts("bad") == ["held", "approved"]
    assert event.request == "r1"


async def test_a_yes_that_was_there_already_needs_no_wait() -> None:
    async with holding() as box:
        box.supervisor.on_ask = lambda ask: [Answer(ask=ask.ask, outcome="approved", request="r0")]
        answer = await box.call_with_fds("bad")
        await box.supervisor.recorded("bad", verdict="approved")
        assert _ran(box)
    assert (answer.exit_code, answer.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("outcome", "reason", "verdict", "note"),
    [
        ("denied", "not on a Friday", "denied", b"note: The operator said no: not on a Friday\n"),
        ("denied", "", "denied", b"note: The operator said no.\n"),
        ("expired", "", "expired", b"note: The operator did not answer within 60 s.\n"),
    ],
)
async def test_a_no_is_a_refusal_with_its_reason(
    outcome: str, reason: str, verdict: str, note: bytes
) -> None:
    async with holding() as box:
        call, ask = await _held(box)
        await box.supervisor.answer(ask, outcome, reason=reason)
        answer = await call.finish()
        event = await box.supervisor.recorded("bad", verdict=verdict)
        assert not _ran(box)
    assert answer.exit_code == 1
    assert note in answer.stderr
    assert b"request: r1\n" in answer.stderr
    assert event.request == "r1"


async def test_without_an_operator_it_is_refused_at_once_with_the_request() -> None:
    async with holding() as box:
        box.supervisor.on_ask = lambda ask: [Answer(ask=ask.ask, outcome="later", request="r7")]
        answer = await box.call("bad")
        event = await box.supervisor.recorded("bad", verdict="blocked")
        assert not _ran(box)
    assert answer.exit_code == 1
    assert b"request: r7\n" in answer.stderr
    assert b"within 15 minutes" in answer.stderr
    assert event.request == "r7"


async def test_the_same_operation_has_the_same_fingerprint_and_another_one_not() -> None:
    async with holding() as box:
        box.supervisor.on_ask = lambda ask: [Answer(ask=ask.ask, outcome="later", request="r")]
        (box.workspace / "sub").mkdir()
        for args, cwd in ((["bad"], ""), (["bad"], ""), (["bad", "x"], ""), (["bad"], "/sub")):
            await box.call(*args, cwd=f"{box.workspace}{cwd}")
        first, again, other, elsewhere = (ask.fingerprint for ask in box.supervisor.asks)
    assert first == again
    assert len({first, other, elsewhere}) == 3


async def test_a_caller_that_hangs_up_while_it_waits_is_forgotten() -> None:
    async with holding() as box:
        call, ask = await _held(box)
        call.hang_up()
        await box.supervisor.until(lambda: box.supervisor.forgotten == [ask.ask])
        await box.supervisor.recorded("bad", verdict="blocked")
        await box.supervisor.answer(ask, "approved")  # too late
        assert (await box.call("good")).exit_code == 0
        assert not _ran(box)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_the_wait(signum: int) -> None:
    async with holding() as box:
        call, ask = await _held(box)
        await call.caller.send({"action": "signal", "signum": signum})
        answer = await call.finish()
        await box.supervisor.until(lambda: box.supervisor.forgotten == [ask.ask])
        assert not _ran(box)
    assert (answer.exit_code, answer.body["signal"]) == (128 + signum, signum)


async def test_a_signal_that_ends_nothing_does_not_end_the_wait() -> None:
    async with holding() as box:
        call, ask = await _held(box)
        await call.caller.send({"action": "signal", "signum": signal.SIGWINCH})
        await box.supervisor.answer(ask, "approved")
        assert (await call.finish()).exit_code == 0


async def test_a_supervisor_that_goes_away_means_no() -> None:
    async with holding() as box:
        call, _ = await _held(box)
        await box.supervisor.stop()
        answer = await call.finish()
        assert not _ran(box)
    assert answer.exit_code == 1
    assert b"the supervisor is not running" in answer.stderr


async def test_without_a_supervisor_it_is_refused_at_once() -> None:
    async with holding() as box:
        await box.supervisor.stop()
        answer = await box.call("bad")
        assert (await box.call("good")).exit_code == 0
        assert not _ran(box)
    assert answer.exit_code == 1


async def test_a_lockdown_during_the_wait_outweighs_the_yes() -> None:
    async with holding() as box:
        call, ask = await _held(box)
        await box.supervisor.lockdown(True, "incident")
        await box.supervisor.answer(ask, "approved")
        answer = await call.finish()
        assert not _ran(box)
    assert answer.exit_code == 1
    assert b"Locked down by the operator: incident" in answer.stderr


async def test_a_lockdown_ends_the_wait_and_settles_nothing() -> None:
    async with holding() as box:
        call, _ = await _held(box)
        await box.supervisor.lockdown(True, "incident")
        answer = await call.finish()
        await box.supervisor.until(lambda: box.supervisor.settled == [""])
        assert not _ran(box)
    assert answer.exit_code == 1
    assert b"Locked down by the operator: incident" in answer.stderr


async def test_a_policy_that_allows_it_meanwhile_lets_it_through() -> None:
    async with holding() as box:
        call, _ = await _held(box)
        await box.supervisor.set_policy(HOLD.replace("[bad]", "[worse]"))
        answer = await call.finish()
        event = await box.supervisor.recorded("bad", verdict="allowed")
        await box.supervisor.until(lambda: box.supervisor.settled == ["allowed"])
        assert _ran(box)
    assert answer.exit_code == 0
    assert event.request == "r1"
    assert event.reason.endswith("The policy was changed meanwhile: it allows this now.")


async def test_a_policy_that_lets_nobody_approve_it_refuses_it_meanwhile() -> None:
    async with holding() as box:
        call, _ = await _held(box)
        await box.supervisor.set_policy(HOLD.replace("never: []", "never: [blocked_subcommands]"))
        answer = await call.finish()
        await box.supervisor.until(lambda: box.supervisor.settled == ["refused"])
        assert not _ran(box)
    assert answer.exit_code == 1


async def test_another_change_of_the_policy_changes_nothing_for_it() -> None:
    async with holding() as box:
        call, ask = await _held(box)
        await box.supervisor.set_policy(HOLD.replace("grant_minutes: 15", "grant_minutes: 16"))
        assert box.supervisor.forgotten == []
        await box.supervisor.answer(ask, "approved")
        assert (await call.finish()).exit_code == 0
        assert _ran(box)


async def test_a_yes_for_what_nobody_may_approve_any_more_is_a_no() -> None:
    async with holding() as box:
        box.supervisor.on_ask = lambda ask: [
            Lockdown(on=True, message="incident"), Answer(ask=ask.ask, outcome="approved", request="r0"),
        ]  # fmt: skip
        answer = await box.call_with_fds("bad")
        assert not _ran(box)
    assert answer.exit_code == 1
    assert b"incident" in answer.stderr


async def test_an_answer_to_another_question_changes_nothing() -> None:
    async with holding() as box:
        call, ask = await _held(box)
        await box.supervisor.send(Answer(ask=ask.ask + 1, outcome="approved", request="r9"))
        await box.supervisor.answer(ask, "denied")
        assert (await call.finish()).exit_code == 1
        assert not _ran(box)


async def test_a_rule_that_no_one_can_approve_past_is_not_asked_about() -> None:
    async with plugin_for("touch", HOLD.replace("never: []", "never: [blocked_subcommands]")) as box:
        answer = await box.call("bad")
        await box.supervisor.recorded("bad", verdict="blocked")
    assert answer.exit_code == 1
    assert box.supervisor.asks == []


async def test_many_can_wait_while_others_run() -> None:
    async with holding() as box:
        calls = [asyncio.create_task(box.call("bad", str(number))) for number in range(30)]
        await box.supervisor.until(lambda: len(box.supervisor.asks) == 30)
        assert (await box.call("good")).exit_code == 0
        for ask in box.supervisor.asks:
            await box.supervisor.answer(ask, "approved")
        assert [answer.exit_code for answer in await asyncio.gather(*calls)] == [0] * 30


async def test_a_stop_refuses_what_waits() -> None:
    async with holding() as box:
        call, _ = await _held(box)
        await box.supervisor.stop_plugin()
        call.close_stdin()
        await box.supervisor.recorded("bad", verdict="blocked")
        assert not _ran(box)

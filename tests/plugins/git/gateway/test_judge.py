"""The wire's judge: by policy, recorded first, held for the operator where that helps."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from plugins.base.control import Answer, Ask
from plugins.base.control.asking import Asking
from plugins.base.control.link import Question
from plugins.base.events.records import Recorder
from plugins.base.events.spool import Spool
from plugins.base.events.stats import Counters
from plugins.base.model import RefUpdate
from plugins.base.policy import Policy, parse_policy
from plugins.git.gateway.backup import Backups
from plugins.git.gateway.forwards import Forwards
from plugins.git.gateway.history import Histories
from plugins.git.gateway.judge import WireJudge
from plugins.git.gateway.local_upstream import LocalUpstream
from plugins.git.gateway.proofs import Judged
from plugins.git.rules import GitRules
from supervisor.approvals.requests import RequestStore
from supervisor.state_db import StateDb

_POLICY = """\
plugin: git
version: 1
remotes: {push: [origin]}
rules:
  blocked_branches: [main]
  allowed_branch_patterns: [claude/*]
  allow_force_push: false
approvals: {on_block: %s, hold_seconds: 120, never: [allow_tags]}
"""
_A, _B, _ZERO = "a" * 40, "b" * 40, "0" * 40


@dataclass
class Desk:
    """A plugin's side with a real spool, and an operator whose answers are given beforehand."""

    spool: Spool
    forwards: Forwards
    on_block: str = "hold"
    lockdown: str | None = None
    origin: str = ""
    answers: list[Answer | None] = field(default_factory=lambda: [None])
    asked: list[Ask] = field(default_factory=list)
    counters: Counters = field(default_factory=Counters)

    @property
    def policy(self) -> Policy | None:
        return (
            parse_policy(_POLICY % self.on_block, rules_model=GitRules, plugin="git")
            if self.on_block
            else None
        )

    @property
    def policy_hash(self) -> str:
        return self.policy.hash if self.policy else ""

    @property
    def recorder(self) -> Recorder:
        return Recorder("git", self.spool)

    def asking(self, say: Callable[[str], Awaitable[None]]) -> Asking:
        return Asking(self, self.recorder, self.counters, say)  # type: ignore[arg-type]

    up = True

    def ask(self, ask: Ask) -> Question:
        self.asked.append(ask)
        question = Question(1, lambda *_: None)
        for answer in self.answers:
            question.give(answer)
        return question

    def verdicts(self) -> list[tuple[str, str]]:
        batch = self.spool.take()
        events = [json.loads(event) for event in batch.events] if batch else []
        assert all(event["layer"] == "wire" for event in events)
        return [(event["verdict"], event["rule"]) for event in events]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    spool = Spool.open(tmp_path / "spool")
    yield Desk(spool, Forwards(tmp_path / "forwards"))
    spool.close()


@pytest.fixture
def judge(desk: Desk, tmp_path: Path) -> WireJudge:
    return WireJudge(desk, "git", "c" * 32, Histories(tmp_path / "h"), Backups(tmp_path / "b"))


def _push(tmp_path: Path, *updates: RefUpdate, options: tuple[str, ...] = ()) -> Judged:
    return Judged(LocalUpstream(tmp_path / "r.git", home=tmp_path), updates, options)


def _rules(judge: WireJudge, push: Judged) -> set[str]:
    return {reason.rule for reason in judge.decide(push).reasons}


@pytest.mark.parametrize(
    ("update", "rules"),
    [
        (RefUpdate("refs/heads/claude/x", _ZERO, _A), set()),
        (RefUpdate("refs/heads/claude/x", _A, _B, True), set()),
        (RefUpdate("refs/heads/main", _A, _B, True), {"blocked_branches"}),
        (RefUpdate("refs/heads/other", _ZERO, _A), {"allowed_branch_patterns"}),
        (RefUpdate("refs/heads/claude/x", _A, _B, False), {"allow_force_push"}),
        (RefUpdate("refs/heads/claude/x", _A, _B), {"allow_force_push"}),
        (RefUpdate("refs/heads/claude/x", _A, _ZERO), {"allow_delete_remote"}),
        (RefUpdate("refs/tags/v1", _ZERO, _A), {"allow_tags"}),
        (RefUpdate("refs/for/main", _ZERO, _A), {"allowed_branch_patterns"}),
        (RefUpdate("refs/heads/refs/heads/main", _ZERO, _A), {"allowed_branch_patterns"}),
        (RefUpdate("refs/heads/Main", _ZERO, _A), {"blocked_branches"}),
        (RefUpdate("refs/heads/\uff4d\uff41\uff49\uff4e", _ZERO, _A), {"blocked_branches"}),
    ],
)
def test_each_ref_is_judged_by_the_rules(
    judge: WireJudge, tmp_path: Path, update: RefUpdate, rules: set[str]
) -> None:
    assert _rules(judge, _push(tmp_path, update)) == rules


def test_a_push_option_must_be_named_by_the_policy(judge: WireJudge, tmp_path: Path) -> None:
    update = RefUpdate("refs/heads/claude/x", _ZERO, _A)
    push = _push(tmp_path, update, options=("merge_request.merge_when_pipeline_succeeds",))
    assert _rules(judge, push) == {"allowed_push_options"}


def test_lockdown_and_a_missing_policy_refuse_everything(
    judge: WireJudge, desk: Desk, tmp_path: Path
) -> None:
    push = _push(tmp_path, RefUpdate("refs/heads/claude/x", _ZERO, _A))
    desk.lockdown = "Out for lunch."
    assert _rules(judge, push) == {"lockdown"}
    desk.lockdown, desk.on_block = None, ""
    assert _rules(judge, push) == {"internal"}


async def _settle(judge: WireJudge, push: Judged) -> tuple[bool, str, list[bytes]]:
    said: list[bytes] = []

    async def remark(line: bytes) -> None:
        said.append(line)

    settled = await judge.settle(push, judge.decide(push), remark)
    return settled.allowed, "\n".join(settled.refusal.remarks), said


async def test_an_allowed_push_is_recorded(judge: WireJudge, desk: Desk, tmp_path: Path) -> None:
    allowed, _, _ = await _settle(judge, _push(tmp_path, RefUpdate("refs/heads/claude/x", _ZERO, _A)))
    assert allowed
    assert desk.verdicts() == [("allowed", "")]


async def test_an_approved_push_passes_after_the_client_was_told(
    judge: WireJudge, desk: Desk, tmp_path: Path
) -> None:
    desk.answers = [
        Answer(ask=1, outcome="waiting", request="abcd2345"),
        Answer(ask=1, outcome="approved", request="abcd2345"),
    ]
    allowed, _, said = await _settle(judge, _push(tmp_path, RefUpdate("refs/heads/main", _A, _B, True)))
    assert allowed
    assert b"abcd2345" in said[0]
    assert desk.verdicts() == [("held", "blocked_branches"), ("approved", "blocked_branches")]
    assert desk.asked[0].updates[0].new == _B


@pytest.mark.parametrize(
    ("answer", "verdict", "told"),
    [
        (
            Answer(ask=1, outcome="denied", request="abcd2345", reason="not on a Friday"),
            "denied",
            "not on a Friday",
        ),
        (Answer(ask=1, outcome="expired", request="abcd2345"), "expired", "did not answer within 120 s"),
        (Answer(ask=1, outcome="later", request="abcd2345"), "blocked", "Once approved"),
        (None, "blocked", "Nobody can be asked now"),
    ],
)
async def test_every_other_answer_is_a_no_that_says_why(
    judge: WireJudge, desk: Desk, tmp_path: Path, answer: Answer | None, verdict: str, told: str
) -> None:
    desk.answers = [answer]
    allowed, remarks, _ = await _settle(judge, _push(tmp_path, RefUpdate("refs/heads/main", _A, _B, True)))
    assert not allowed
    assert told in remarks
    assert desk.verdicts() == [(verdict, "blocked_branches")]
    assert desk.counters.blocked == 1


async def test_what_no_one_may_approve_is_not_asked(judge: WireJudge, desk: Desk, tmp_path: Path) -> None:
    for on_block, update in (
        ("hold", RefUpdate("refs/tags/v1", _ZERO, _A)),
        ("refuse", RefUpdate("refs/heads/main", _A, _B, True)),
    ):
        desk.on_block = on_block
        allowed, _, _ = await _settle(judge, _push(tmp_path, update))
        assert not allowed
    assert desk.asked == []


async def test_an_approval_is_not_used_when_what_would_be_lost_cannot_be_kept(
    judge: WireJudge, desk: Desk, tmp_path: Path
) -> None:
    desk.answers = [Answer(ask=1, outcome="approved", request="abcd2345")]
    allowed, remarks, _ = await _settle(judge, _push(tmp_path, RefUpdate("refs/heads/claude/x", _A, _ZERO)))
    assert not allowed
    assert "could not be kept" in remarks
    assert desk.verdicts() == [("error", "allow_delete_remote")]
    assert desk.counters.blocked == 1


async def test_a_push_whose_outcome_is_unknown_was_not_refused(
    judge: WireJudge, desk: Desk, tmp_path: Path
) -> None:
    await judge.done(
        _push(tmp_path, RefUpdate("refs/heads/claude/x", _ZERO, _A)), arrived=None, answered=False
    )
    assert desk.verdicts() == [("error", "")]
    assert desk.counters.blocked == 0


async def test_an_approval_is_for_exactly_one_push(judge: WireJudge, desk: Desk, tmp_path: Path) -> None:
    for new in (_B, "c" * 40):
        await _settle(judge, _push(tmp_path, RefUpdate("refs/heads/main", _A, new, True)))
    await _settle(judge, _push(tmp_path, RefUpdate("refs/heads/main", _A, _B, True)))
    first, other, again = (ask.fingerprint for ask in desk.asked)
    assert first == again
    assert first != other


async def test_a_claimed_command_changes_no_verdict_and_no_approval(
    judge: WireJudge, desk: Desk, tmp_path: Path
) -> None:
    """Whoever claims another command's id is judged, and asked for, by what is pushed alone."""
    honest, nobody = judge, replace(judge, command="")
    forged = replace(judge, command="d" * 32)
    for update in (
        RefUpdate("refs/heads/claude/x", _ZERO, _A), RefUpdate("refs/heads/main", _A, _B, True),
        RefUpdate("refs/heads/claude/x", _A, _ZERO),
    ):  # fmt: skip
        push = _push(tmp_path, update)
        assert honest.decide(push) == forged.decide(push) == nobody.decide(push)
    main = RefUpdate("refs/heads/main", _A, _B, True)
    for one in (honest, forged, nobody):
        await _settle(one, _push(tmp_path, main))
    assert len({ask.fingerprint for ask in desk.asked}) == 1
    await _settle(honest, _push(tmp_path, replace(main, new="c" * 40)))
    assert desk.asked[-1].fingerprint != desk.asked[0].fingerprint


async def test_a_lockdown_while_a_push_waits_outweighs_the_yes(
    judge: WireJudge, desk: Desk, tmp_path: Path
) -> None:
    push = _push(tmp_path, RefUpdate("refs/heads/main", _A, _B, True))
    decision = judge.decide(push)
    desk.lockdown, desk.answers = "Out for lunch.", [Answer(ask=1, outcome="approved", request="r1")]
    settled = await judge.settle(push, decision, _unsaid)
    assert not settled.allowed
    assert any("Out for lunch." in remark for remark in settled.refusal.remarks)


def test_what_is_refused_before_it_is_judged_is_written_down_once(
    judge: WireJudge, desk: Desk, tmp_path: Path
) -> None:
    judge.turned_down(_push(tmp_path, RefUpdate("refs/heads/claude/x", _A, _B)), "The remote has moved on.")
    batch = desk.spool.take()
    assert batch is not None
    assert [json.loads(event)["reason"] for event in batch.events] == ["The remote has moved on."]


async def _unsaid(_: bytes) -> None:
    pass


class StoreDesk(Desk):
    """An operator's side whose answers come from the real store of requests."""

    store: RequestStore

    def ask(self, ask: Ask) -> Question:
        self.asked.append(ask)
        admission = self.store.admit(ask, 1000.0)
        question = Question(1, lambda *_: None)
        outcome = "approved" if admission.approved else "later"
        question.give(Answer(ask=1, outcome=outcome, request=admission.request))
        return question


async def test_of_two_pushes_that_race_for_one_approval_one_passes(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path / "spool")
    desk = StoreDesk(spool, Forwards(tmp_path / "forwards"))
    db = StateDb(tmp_path / "state.db").open()
    desk.store = RequestStore(db)
    push = _push(tmp_path, RefUpdate("refs/heads/main", _A, _B, True))
    first, second = (
        WireJudge(desk, "git", letter * 32, Histories(tmp_path / "h"), Backups(tmp_path / "b"))
        for letter in "cd"
    )
    _, told, _ = await _settle(first, push)
    request = desk.store.list()[0].id
    assert request in told
    desk.store.grant(request, "once", 1000.0, 2000.0, 0)
    results = await asyncio.gather(_settle(first, push), _settle(second, push))
    assert sorted(allowed for allowed, _, _ in results) == [False, True]
    assert [verdict for verdict, _ in desk.verdicts()].count("approved") == 1
    db.close()
    spool.close()

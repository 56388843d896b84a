"""Questions and answers: who passes, who waits, who is refused, and that no yes is used twice."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plugins.base.control import Answer, Ask, AuditEvent, Update
from plugins.base.model import Layer
from supervisor.approvals.answers import Approvals
from supervisor.approvals.questions import Question
from supervisor.approvals.requests import MOST_OPEN, RequestError, RequestStore
from supervisor.state_db import StateDb

_NUMBERS = itertools.count(1)


def ask(fingerprint: str = "f", **changes: Any) -> Ask:
    """A blocked push that may wait for a minute, as one more command."""
    number = next(_NUMBERS)
    plain = Ask(
        ask=number, fingerprint=fingerprint, plugin="git", command=f"c{number}", layer=Layer.HOOK,
        args=("push", "origin", "main"), cwd="/workspace", caller="uid=1000",
        reasons=(("blocked_branches", 12, "main is protected"),), remote="/up.git",
        updates=(Update(ref="refs/heads/main", old="1" * 40, new="2" * 40, fast_forward=True),),
        details="one commit", hold_seconds=60, grant_minutes=30,
    )  # fmt: skip
    return plain.model_copy(update=changes)


class Desk:
    """Approvals on a real state file, with a clock and a number of operators that tests set."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = 1_000_000.0
        self.operators = 1
        self.changes = 0
        self.events: list[AuditEvent] = []
        self.open()

    def open(self) -> None:
        self.db = StateDb(self.path).open()
        self.approvals = Approvals(
            self.db, self._changed, lambda: self.operators, self.events.append, clock=lambda: self.now
        )

    def restart(self) -> None:
        self.close()
        self.open()

    def close(self) -> None:
        self.approvals.close()
        self.db.close()

    def _changed(self) -> None:
        self.changes += 1

    async def waiting(self, question: Ask) -> tuple[Question, str]:
        """Ask, and see that it waits; returns the question and its request."""
        asked = self.approvals.ask(question)
        answer = await anext(asked)
        assert answer.outcome == "waiting"
        return asked, answer.request

    async def later(self, question: Ask) -> str:
        """Ask while nobody is there; returns the request."""
        self.operators, before = 0, self.operators
        (answer,) = [answer async for answer in self.approvals.ask(question)]
        self.operators = before
        assert answer.outcome == "later"
        return answer.request

    async def outcome(self, question: Ask) -> str:
        """Ask while nobody is there; returns the outcome."""
        self.operators = 0
        return [answer async for answer in self.approvals.ask(question)][-1].outcome


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "state.db")
    yield desk
    desk.close()


async def the_rest(question: Question) -> list[Answer]:
    return [answer async for answer in question]


# ---------------------------------------------------------------- a policy that changes meanwhile


async def test_a_policy_that_allows_it_settles_the_request_for_all_that_wait(desk: Desk) -> None:
    (first, id_), (second, _) = await desk.waiting(ask()), await desk.waiting(ask())
    for question in (first, second):
        desk.approvals.forget(question.ask, settled="allowed")
        assert await the_rest(question) == []
    request = desk.approvals.get(id_)
    assert (request.state, request.mode, request.waiting) == ("used", "always", 0)
    assert [event.verdict for event in desk.events] == ["allowed"]
    assert await desk.outcome(ask()) == "later"  # no yes is left behind


async def test_an_always_that_plugins_went_by_already_is_said_again_without_harm(desk: Desk) -> None:
    question, id_ = await desk.waiting(ask())
    desk.approvals.forget(question.ask, settled="allowed")
    assert desk.approvals.approve(id_, "always").state == "used"


async def test_a_policy_that_lets_nobody_approve_it_closes_the_request(desk: Desk) -> None:
    question, id_ = await desk.waiting(ask())
    desk.approvals.forget(question.ask, settled="refused")
    request = desk.approvals.get(id_)
    assert (request.state, request.answer_reason) == (
        "denied", "The policy was changed: nobody can approve this now.",
    )  # fmt: skip
    with pytest.raises(RequestError):
        desk.approvals.approve(id_)


# ---------------------------------------------------------------- while the command waits


async def test_a_waiting_command_goes_through_when_approved(desk: Desk) -> None:
    question, id_ = await desk.waiting(ask(ask=77))
    request = desk.approvals.approve(id_)
    assert (request.state, request.mode, request.waiting) == ("used", "once", 0)
    (answer,) = await the_rest(question)
    assert (answer.outcome, answer.request, answer.ask) == ("approved", id_, 77)
    assert await desk.outcome(ask()) == "later"  # used up: the next try is asked about again


async def test_always_lets_all_through_that_wait_and_leaves_no_grant_behind(desk: Desk) -> None:
    first, id_ = await desk.waiting(ask())
    second, _ = await desk.waiting(ask())
    request = desk.approvals.approve(id_, "always")
    assert (request.state, request.mode, request.waiting) == ("used", "always", 0)
    assert [(await the_rest(each))[0].outcome for each in (first, second)] == ["approved", "approved"]
    assert desk.events[-1].reason == "Approved by operator, always: the policy allows it now."
    assert await desk.outcome(ask()) == "later"  # should the policy be rolled back, there is no yes left


async def test_a_waiting_command_gets_the_reason_of_a_no(desk: Desk) -> None:
    question, id_ = await desk.waiting(ask())
    request = desk.approvals.deny(id_, "  not on a\x1b[31m Friday\n")
    assert (request.state, request.answer_reason) == ("denied", "not on a\\x1b[31m Friday")
    (answer,) = await the_rest(question)
    assert (answer.outcome, answer.reason) == ("denied", "not on a\\x1b[31m Friday")


async def test_nobody_answers_in_time(desk: Desk) -> None:
    question, id_ = await desk.waiting(ask(hold_seconds=0.01))
    (answer,) = await the_rest(question)
    assert (answer.outcome, answer.request) == ("expired", id_)
    assert desk.approvals.get(id_).state == "expired"
    assert [(event.verdict, event.request) for event in desk.events] == [("expired", id_)]
    with pytest.raises(RequestError, match="has expired"):
        desk.approvals.approve(id_)


async def test_it_waits_on_when_the_last_operator_leaves(desk: Desk) -> None:
    question, id_ = await desk.waiting(ask())
    desk.operators = 0
    assert desk.approvals.get(id_).waiting == 1
    desk.approvals.approve(id_)
    assert (await the_rest(question))[0].outcome == "approved"


async def test_repeats_fold_into_one_request(desk: Desk) -> None:
    _, first = await desk.waiting(ask())
    desk.now += 5
    _, second = await desk.waiting(ask(hold_seconds=90))
    assert first == second
    (request,) = desk.approvals.list()
    assert (request.count, request.waiting) == (2, 2)
    assert (request.first, request.last) == (1_000_000.0, 1_000_005.0)
    assert request.deadline == 1_000_095.0


async def test_different_operations_and_plugins_do_not_fold(desk: Desk) -> None:
    ids = {(await desk.waiting(q))[1] for q in (ask(), ask("g"), ask(plugin="npm"))}
    assert len(ids) == 3


async def test_once_lets_the_oldest_through_and_asks_again_for_the_others(desk: Desk) -> None:
    questions = [(await desk.waiting(ask()))[0] for _ in range(3)]
    (request,) = desk.approvals.list()
    desk.approvals.approve(request.id)
    assert (await the_rest(questions[0]))[0].outcome == "approved"
    again = [await anext(question) for question in questions[1:]]
    assert {answer.outcome for answer in again} == {"waiting"}
    renewed = desk.approvals.get(again[0].request)
    assert renewed.id != request.id
    assert (renewed.state, renewed.count, renewed.waiting) == ("open", 2, 2)
    assert renewed.details == "one commit"
    desk.approvals.deny(renewed.id, "enough")
    assert [(await the_rest(question))[0].outcome for question in questions[1:]] == ["denied"] * 2


async def test_for_a_time_lets_all_through_that_wait_and_those_that_come(desk: Desk) -> None:
    questions = [(await desk.waiting(ask()))[0] for _ in range(3)]
    request = desk.approvals.approve(questions[0].request, "time", 10)
    assert (request.state, request.grant_until) == ("granted", desk.now + 600)
    assert [(await the_rest(question))[0].outcome for question in questions] == ["approved"] * 3
    desk.now += 599
    assert await desk.outcome(ask()) == "approved"
    desk.now += 1
    assert await desk.outcome(ask()) == "later"
    assert desk.approvals.get(request.id).state == "used"


async def test_each_command_expires_on_its_own_and_the_request_with_the_last(desk: Desk) -> None:
    short, id_ = await desk.waiting(ask(hold_seconds=0.01))
    long, _ = await desk.waiting(ask())
    assert (await the_rest(short))[0].outcome == "expired"
    assert desk.approvals.get(id_).state == "open"
    desk.approvals.approve(id_)
    assert (await the_rest(long))[0].outcome == "approved"


# ---------------------------------------------------------------- commands that go away


async def test_a_command_that_hung_up_leaves_its_request_open(desk: Desk) -> None:
    asked = ask()
    question, id_ = await desk.waiting(asked)
    desk.approvals.forget(asked)
    assert await the_rest(question) == []
    request = desk.approvals.get(id_)
    assert (request.state, request.waiting, request.deadline) == ("open", 0, None)
    assert desk.approvals.approve(id_).state == "granted"
    desk.approvals.forget(asked)  # again: nothing happens


async def test_forgetting_knows_the_plugin_that_the_supervisor_named(desk: Desk) -> None:
    asked = ask(plugin="claims to be another")
    question = desk.approvals.ask(asked, plugin="npm")
    id_ = (await anext(question)).request
    assert desk.approvals.get(id_).plugin == "npm"
    desk.approvals.forget(asked, plugin="npm")
    assert desk.approvals.get(id_).waiting == 0


async def test_a_cancelled_task_leaves_its_request_open(desk: Desk) -> None:
    question, id_ = await desk.waiting(ask())
    task = asyncio.ensure_future(anext(question))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert desk.approvals.get(id_).waiting == 0


async def test_the_same_question_again_replaces_the_first(desk: Desk) -> None:
    asked = ask()
    first, id_ = await desk.waiting(asked)
    await desk.waiting(asked)
    assert await the_rest(first) == []
    assert desk.approvals.get(id_).waiting == 1


async def test_the_next_in_line_goes_through_when_the_oldest_hung_up(desk: Desk) -> None:
    first, id_ = await desk.waiting(ask())
    second, _ = await desk.waiting(ask())
    first.forget()
    desk.approvals.approve(id_)
    assert (await the_rest(second))[0].outcome == "approved"


# ---------------------------------------------------------------- answers that come later


@pytest.mark.parametrize("changes", [{"hold_seconds": 0.0}, {"hold_seconds": -1.0}])
async def test_what_cannot_wait_is_told_the_request(desk: Desk, changes: dict[str, Any]) -> None:
    (answer,) = await the_rest(desk.approvals.ask(ask(**changes)))
    assert answer.outcome == "later"
    assert desk.approvals.get(answer.request).state == "open"


async def test_a_later_yes_lets_one_retry_through(desk: Desk) -> None:
    id_ = await desk.later(ask())
    request = desk.approvals.approve(id_)
    assert (request.state, request.grant_until) == ("granted", desk.now + 1800)
    (answer,) = await the_rest(desk.approvals.ask(ask()))
    assert (answer.outcome, answer.request) == ("approved", id_)
    assert desk.approvals.get(id_).state == "used"
    assert await desk.later(ask()) != id_


async def test_a_yes_is_for_exactly_that_operation_of_that_plugin(desk: Desk) -> None:
    desk.approvals.approve(await desk.later(ask()))
    assert await desk.outcome(ask("another commit")) == "later"
    assert await desk.outcome(ask(plugin="npm")) == "later"


async def test_a_yes_that_is_not_used_lapses_and_that_is_recorded(desk: Desk) -> None:
    id_ = await desk.later(ask())
    desk.approvals.approve(id_)
    desk.now += 1800
    assert await desk.outcome(ask()) == "later"
    request = desk.approvals.get(id_)
    assert (request.state, request.answered) == ("expired", 1_000_000.0)
    assert desk.events[-1].verdict == "expired"
    assert "not used" in desk.events[-1].reason


async def test_a_yes_not_used_yet_can_be_taken_back(desk: Desk) -> None:
    id_ = await desk.later(ask())
    desk.approvals.approve(id_, "time", 60)
    assert desk.approvals.deny(id_).state == "denied"
    assert await desk.outcome(ask()) == "later"


async def test_a_retry_after_a_no_is_a_new_request(desk: Desk) -> None:
    first = await desk.later(ask())
    desk.approvals.deny(first, "no")
    assert await desk.later(ask()) != first


async def test_a_yes_without_time_needs_minutes(desk: Desk) -> None:
    id_ = await desk.later(ask(grant_minutes=0))
    with pytest.raises(RequestError, match="cannot stay good for 0 minutes") as caught:
        desk.approvals.approve(id_)
    assert "--minutes" in caught.value.hint
    assert desk.approvals.approve(id_, "time", 5).state == "granted"


@pytest.mark.parametrize("minutes", [0, -1, float("nan"), float("inf"), 1e9])
async def test_senseless_times_are_refused(desk: Desk, minutes: float) -> None:
    id_ = await desk.later(ask())
    with pytest.raises(RequestError, match="minutes"):
        desk.approvals.approve(id_, "time", minutes)
    assert desk.approvals.get(id_).state == "open"


# ---------------------------------------------------------------- answering what cannot be


@pytest.mark.parametrize("answer", ["approve", "deny", "get"])
async def test_an_unknown_id_is_one_clear_error(desk: Desk, answer: str) -> None:
    with pytest.raises(RequestError, match="There is no request 'nonsense'"):
        getattr(desk.approvals, answer)("nonsense")


async def test_a_second_answer_names_the_first(desk: Desk) -> None:
    approve, deny = desk.approvals.approve, desk.approvals.deny
    denied = await desk.later(ask("a"))
    deny(denied)
    used = (await desk.waiting(ask("b")))[1]
    approve(used)
    granted = await desk.later(ask("c"))
    approve(granted)
    answers: list[tuple[Callable[[str], object], str, str]] = [
        (approve, denied, "was denied already"), (deny, denied, "was denied already"),
        (approve, used, "was approved and used already"), (deny, used, "was approved and used already"),
        (approve, granted, "is approved already"),
    ]  # fmt: skip
    for answer, id_, said in answers:
        with pytest.raises(RequestError, match=said):
            answer(id_)


async def test_an_id_is_easy_to_type(desk: Desk) -> None:
    id_ = await desk.later(ask())
    assert len(id_) == 8
    assert not set(id_) & set("il1o0")
    assert desk.approvals.get(f" {id_.upper()}\n").id == id_


async def test_an_unknown_way_to_approve_is_refused(desk: Desk) -> None:
    id_ = await desk.later(ask())
    with pytest.raises(RequestError, match="'for ever'"):
        desk.approvals.approve(id_, "for ever")


# ---------------------------------------------------------------- races


def test_of_racing_tries_one_uses_a_single_yes(tmp_path: Path) -> None:
    databases = [StateDb(tmp_path / "state.db").open() for _ in range(4)]
    stores = [RequestStore(db) for db in databases]
    for round_ in range(5):
        id_ = stores[0].admit(ask(), round_).request
        stores[0].grant(id_, "once", round_, round_ + 100.0, 0)
        with ThreadPoolExecutor(8) as pool:
            admissions = [*pool.map(lambda n, now=round_: stores[n % 4].admit(ask(), now), range(16))]
        approved = [admission.request for admission in admissions if admission.approved]
        assert approved == [id_]
        (rest,) = {admission.request for admission in admissions if not admission.approved}
        stores[0].deny(rest, "", round_)
    for db in databases:
        db.close()


def test_a_yes_out_of_time_lets_nothing_through_even_before_it_is_swept_away(tmp_path: Path) -> None:
    db = StateDb(tmp_path / "state.db").open()
    store = RequestStore(db)
    store.grant(store.admit(ask(), 1.0).request, "time", 1.0, 2.0, 0)
    assert not store.admit(ask(), 2.0).approved
    db.close()


def test_of_racing_answers_one_counts(tmp_path: Path) -> None:
    databases = [StateDb(tmp_path / "state.db").open() for _ in range(4)]
    stores = [RequestStore(db) for db in databases]
    id_ = stores[0].admit(ask(), 1.0).request

    def answer(number: int) -> bool:
        try:
            stores[number % 4].grant(id_, "once", 1.0, 2.0, 0)
        except RequestError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(answer, range(16))) == 1
    for db in databases:
        db.close()


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(("try", "approve", "approve for a time", "deny", "wait")), st.sampled_from("ab")
    ),
    max_size=25,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(steps=_STEPS)
def test_no_try_passes_without_a_yes_of_its_own(tmp_path: Path, steps: list[tuple[str, str]]) -> None:
    asyncio.run(_play(tmp_path / f"{next(_NUMBERS)}.db", steps))


async def _play(path: Path, steps: list[tuple[str, str]]) -> None:
    """Compare with the rules, written down as plainly as can be: yeses as (uses left, until)."""
    desk = Desk(path)
    yeses: dict[str, tuple[float, float]] = {}
    for step, name in steps:
        uses, until = yeses.get(name, (0, 0.0))
        request = next(
            (r for r in desk.approvals.list() if r.fingerprint == name and r.state == "open"), None
        )
        if step == "wait":
            desk.now += 601
        elif step == "try":
            passes = uses > 0 and desk.now < until
            assert await desk.outcome(ask(name)) == ("approved" if passes else "later")
            yeses[name] = (uses - 1 if passes else uses, until)
        elif request is not None and step == "deny":
            desk.approvals.deny(request.id)
        elif request is not None:
            once = step == "approve"
            desk.approvals.approve(request.id, "once" if once else "time", 10)
            yeses[name] = (1 if once else float("inf"), desk.now + 600)
    desk.close()


# ---------------------------------------------------------------- restarts, bounds, records


async def test_requests_and_yeses_survive_a_restart_and_waiting_does_not(desk: Desk) -> None:
    question, waited = await desk.waiting(ask("a"))
    granted = await desk.later(ask("b"))
    desk.approvals.approve(granted)
    desk.restart()
    assert await the_rest(question) == []
    request = desk.approvals.get(waited)
    assert (request.state, request.waiting) == ("open", 0)
    assert await desk.outcome(ask("b")) == "approved"


async def test_open_requests_are_bounded_for_each_plugin(desk: Desk) -> None:
    for number in range(MOST_OPEN):
        assert await desk.later(ask(str(number)))
    (answer,) = await the_rest(desk.approvals.ask(ask("one more")))
    assert (answer.outcome, answer.request) == ("later", "")
    assert "200 requests of git are open" in answer.reason
    assert await desk.later(ask("0"))  # what is open already still folds
    assert await desk.later(ask(plugin="npm"))
    assert desk.approvals.open_count() == MOST_OPEN + 1


async def test_waiting_commands_are_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("supervisor.approvals.waiting.MOST_WAITING", 2)
    await desk.waiting(ask())
    await desk.waiting(ask())
    (answer,) = await the_rest(desk.approvals.ask(ask()))
    assert answer.outcome == "later"
    await desk.waiting(ask(plugin="npm"))


async def test_a_list_of_huge_requests_fits_in_a_frame_and_get_has_them_whole(desk: Desk) -> None:
    update = Update(ref="refs/heads/" + "x" * 200, old="1" * 40, new="2" * 40)
    huge = {"details": "x" * 256 * 1024, "args": ("y" * 500,) * 100, "updates": (update,) * 500}
    for number in range(MOST_OPEN):
        id_ = await desk.later(ask(str(number), **huge))
    listed = desk.approvals.list()
    assert len(listed) == MOST_OPEN
    assert len(json.dumps([request.model_dump(mode="json") for request in listed])) < 4 << 20
    whole = desk.approvals.get(id_)
    assert (len(whole.details), len(whole.args), len(whole.updates)) == (256 * 1024, 100, 500)


async def test_what_is_too_large_is_cut_and_says_so(desk: Desk) -> None:
    id_ = await desk.later(ask(details="x" * 300_000, args=("y" * 1000,) * 100))
    request = desk.approvals.get(id_)
    assert len(request.details) < 257 * 1024
    assert request.details.endswith("(the rest is too long to be shown)")
    assert request.args[-1] == "… and 35 more"


async def test_text_from_the_agent_is_made_printable(desk: Desk) -> None:
    id_ = await desk.later(ask(args=("\x1b[2J",), cwd="/w\u202e", details="a\tb\nc\x07", remote="\x00"))
    request = desk.approvals.get(id_)
    assert (request.args, request.cwd, request.remote) == (("\\x1b[2J",), "/w\\u202e", "\\x00")
    assert request.details == "a\tb\nc\\x07"


async def test_closed_requests_are_forgotten_in_the_end_and_open_ones_stay_listed(desk: Desk) -> None:
    kept = await desk.later(ask("kept"))
    for number in range(520):
        desk.now += 1
        desk.approvals.deny(await desk.later(ask(str(number))))
    listed = desk.approvals.list()
    assert len(listed) == 500
    assert listed[-1].id == kept
    assert [request.fingerprint for request in listed[:2]] == ["519", "518"]


async def test_a_request_that_nobody_ever_answers_expires(desk: Desk) -> None:
    id_ = await desk.later(ask())
    desk.now += 8 * 86400
    assert desk.approvals.get(id_).state == "expired"
    assert [event.verdict for event in desk.events] == ["expired"]


async def test_answers_are_recorded_with_who_gave_them(desk: Desk) -> None:
    _, first = await desk.waiting(ask("a"))
    desk.approvals.approve(first, by="uid=1000")
    second = await desk.later(ask("b"))
    desk.approvals.approve(second, "time", 10, by="uid=1000")
    desk.approvals.deny(second, "changed my mind", by="uid=0")
    assert [(event.verdict, event.reason, event.request, event.caller) for event in desk.events] == [
        ("approved", "Approved once by uid=1000.", first, "uid=1000"),
        ("approved", "Approved by uid=1000 until 1970-01-12 13:56:40+00:00.", second, "uid=1000"),
        ("denied", "Denied by uid=0: changed my mind", second, "uid=0"),
    ]
    assert {event.layer for event in desk.events} == {"approval"}
    assert desk.events[0].updates[0].ref == "refs/heads/main"
    assert (desk.events[0].rule, desk.events[0].rule_line) == ("blocked_branches", 12)


async def test_every_change_is_told(desk: Desk) -> None:
    def told() -> bool:
        before, desk.changes = desk.changes, 0
        return before > 0

    asked = ask()
    _, id_ = await desk.waiting(asked)
    assert told()
    desk.approvals.forget(asked)
    assert told()
    desk.approvals.approve(id_)
    assert told()
    await the_rest(desk.approvals.ask(ask()))
    assert told()


async def test_state_that_cannot_be_written_lets_nothing_through(desk: Desk) -> None:
    desk.approvals.approve(await desk.later(ask()))
    with desk.db.transaction() as connection:
        connection.execute("PRAGMA query_only = ON")
    (answer,) = await the_rest(desk.approvals.ask(ask()))
    assert (answer.outcome, answer.request) == ("later", "")
    assert "state.db" in answer.reason
    with desk.db.reading() as connection:
        connection.execute("PRAGMA query_only = OFF")
    assert await desk.outcome(ask()) == "approved"

"""Commands that wait: who goes through, who goes on waiting, and what ends it."""

from __future__ import annotations

import asyncio

import pytest

from supervisor.approvals.requests import RequestError
from tests.supervisor.approvals.desk import Desk, ask, the_rest

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

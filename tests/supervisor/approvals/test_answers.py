"""Answers that come later, and answers that cannot be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from supervisor.approvals.requests import RequestError
from tests.supervisor.approvals.desk import Desk, ask, the_rest

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

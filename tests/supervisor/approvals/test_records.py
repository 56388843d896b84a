"""What lasts, what is bounded, and what is recorded."""

from __future__ import annotations

import json

import pytest

from plugins.base.control import Update
from supervisor.approvals.requests import MOST_OPEN
from tests.supervisor.approvals.desk import Desk, ask, the_rest


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

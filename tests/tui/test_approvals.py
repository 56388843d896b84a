from __future__ import annotations

from tests.tui.desk import open_desk
from tests.tui.fake import FakeBackend, request


async def test_shows_what_the_operation_is() -> None:
    async with open_desk() as desk:
        await desk.press("2")
        for text in (
            "git push --force origin main", "Branch main is protected.  (blocked_branches, git.yaml:4)",
            "/srv/git/project.git", "1a2b3c4d..4f5e6d7c  not a fast-forward: commits would be lost",
            "(new)..4f5e6d7c  new ref", "1 command waiting, 1:29 left", "+def parse(text, *, strict=True):",
        ):  # fmt: skip
            await desk.sees(text)


async def test_approving_for_some_minutes_asks_for_how_many() -> None:
    async with open_desk() as desk:
        await desk.press("2", "a", "right", "right", "enter")
        await desk.sees("how many minutes")
        await desk.press("backspace", "backspace", "5", "enter")
        await desk.until(lambda: desk.backend.asked == [("approve", "k7m2p9qd", "time", 5.0)])


async def test_minutes_that_make_no_sense_approve_nothing() -> None:
    async with open_desk() as desk:
        await desk.press("2", "a", "right", "right", "enter")
        await desk.press("backspace", "backspace", *"inf", "enter")
        await desk.until(lambda: any("at most 1440" in notice for notice in desk.notices))
        assert desk.backend.asked == []


async def test_always_shows_how_the_policy_changes_before_it_is_saved() -> None:
    async with open_desk(size=(80, 24)) as desk:
        await desk.press("2", "a", "right", "right", "right", "enter")
        await desk.sees("Change git.yaml?")
        await desk.sees("-  allow_force_push: false")
        await desk.sees("+  allow_force_push: true")
        await desk.sees("Save and approve")
        assert desk.backend.asked == []
        await desk.press("right", "enter")
        await desk.until(lambda: desk.backend.asked)
        changed = desk.backend.files["git"].replace("push: false", "push: true")
        assert desk.backend.asked == [("always", "k7m2p9qd", changed)]


async def test_without_a_rule_to_change_there_is_no_always() -> None:
    async with open_desk() as desk:
        desk.backend.files["git"] = "plugin: git\nversion: 1\n"
        await desk.press("2", "a")
        await desk.sees("Always: no change of a rule says just this.")
        assert "Always …" not in desk.text


async def test_the_question_names_the_consequence_and_cancels_by_default() -> None:
    async with open_desk() as desk:
        await desk.press("2", "a")
        await desk.sees("refs/heads/main: not a fast-forward: commits would be lost")
        await desk.press("enter")
        await desk.until(lambda: "Approve?" not in desk.text)
        assert desk.backend.asked == []


async def test_denying_takes_a_reason_for_the_agent() -> None:
    async with open_desk() as desk:
        await desk.press("2", "d")
        await desk.type("use a branch")
        await desk.press("enter")
        await desk.until(lambda: desk.backend.asked == [("deny", "k7m2p9qd", "use a branch")])


async def test_escape_denies_nothing() -> None:
    async with open_desk() as desk:
        await desk.press("2", "d", "escape")
        await desk.until(lambda: "Why?" not in desk.text)
        assert desk.backend.asked == []


async def test_an_answered_request_cannot_be_approved_again() -> None:
    answered = request(state="used", waiting=0, answered=1.0)
    async with open_desk(FakeBackend(requests=(answered,))) as desk:
        await desk.press("2", "a")
        await desk.until(lambda: "This request is used already." in desk.notices)


async def test_the_cursor_stays_on_its_request_when_another_one_comes() -> None:
    async with open_desk() as desk:
        await desk.press("2")
        await desk.sees("request k7m2p9qd")
        urgent = request("urgent22", deadline=request().first, args=("push", "urgent"))
        desk.backend.tell(requests=(urgent, request()))
        await desk.sees("git push urgent")
        await desk.press("d", "enter")
        await desk.until(lambda: desk.backend.asked == [("deny", "k7m2p9qd", "")])


async def test_says_what_comes_here_when_there_is_nothing() -> None:
    async with open_desk(FakeBackend(requests=())) as desk:
        await desk.press("2")
        await desk.sees("No requests. When a rule blocks a command")

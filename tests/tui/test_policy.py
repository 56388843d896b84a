from __future__ import annotations

import asyncio
import threading

import pytest
from textual.widgets import TextArea

from supervisor.status import PolicyStatus
from tests.tui.desk import Driver, open_desk
from tests.tui.fake import POLICY, FakeBackend, hash_of, plugin, status
from tui.backend import Desk


async def open_policy(desk: Driver) -> None:
    await desk.press("4")
    await desk.sees("on_block: hold")


async def edit(desk: Driver, text: str) -> None:
    await desk.press("enter", "end", "enter")
    await desk.type(text)


async def test_number_keys_change_screens_until_one_edits() -> None:
    async with open_desk() as desk:
        await open_policy(desk)
        await desk.press("5")
        await desk.sees("No logs yet.")
        await desk.press("4", "enter", "5")
        await desk.sees("5plugin: git")
        await desk.press("escape", "1")
        await desk.sees("Latest blocked")


async def test_says_that_the_agents_policy_is_not_in_use_where_plugins_are_processes() -> None:
    backend = FakeBackend()
    backend.files["claude"] = "plugin: claude\nversion: 1\n"
    async with open_desk(backend) as desk:
        await desk.press("4")
        await desk.sees("claude.yaml – not in use: it is for agents of the docker runtime")


@pytest.mark.parametrize("names", [("git-gateway", "git"), ("git", "git-gateway"), ("git-gateway",)])
def test_a_policy_is_told_of_its_plugin_and_where_there_is_none_of_its_gateway(
    names: tuple[str, ...],
) -> None:
    desk = Desk(status=status(plugins=tuple(map(plugin, names))))
    found = desk.goes_by("git")
    assert found is not None
    assert found.name == ("git" if "git" in names else "git-gateway")
    assert desk.goes_by("claude") is None


async def test_says_that_the_file_is_enforced_and_then_what_is_unsaved() -> None:
    async with open_desk() as desk:
        await open_policy(desk)
        await desk.sees("git.yaml ✓ enforced")
        await edit(desk, "# note")
        await desk.sees("● unsaved changes")


async def test_ctrl_s_saves_with_the_hash_the_edit_began_from() -> None:
    async with open_desk() as desk:
        await open_policy(desk)
        await edit(desk, "# note")
        await desk.press("ctrl+s")
        await desk.until(lambda: "Saved git.yaml." in desk.notices)
        assert desk.backend.files["git"] == POLICY.replace("plugin: git\n", "plugin: git\n# note\n")
        await desk.sees("… saved, not enforced yet")
        enforced = PolicyStatus(state="enforced", enforced_hash=hash_of(desk.backend.files["git"]))
        desk.backend.tell(status=status(plugins=(plugin(policy=enforced),)), policy_changes=1)
        await desk.sees("git.yaml ✓ enforced")


async def test_problems_show_while_typing_and_enter_goes_to_their_line() -> None:
    async with open_desk() as desk:
        await open_policy(desk)
        await edit(desk, "wrong: 1")
        await desk.sees("2:3 Unknown key.")
        await desk.sees("✖ invalid: 1 problem; the last good policy stays enforced")
        await desk.press("escape", "tab", "tab")
        desk.app.screen.query_one("#problems").focus()
        await desk.press("enter")
        editor = desk.app.screen.query_one(TextArea)
        await desk.until(lambda: editor.has_focus and editor.cursor_location == (1, 2))


async def test_an_invalid_policy_is_not_saved_and_not_lost() -> None:
    async with open_desk() as desk:
        await open_policy(desk)
        await edit(desk, "wrong: 1")
        await desk.press("ctrl+s")
        await desk.until(lambda: any("Not saved" in notice for notice in desk.notices))
        assert desk.backend.files["git"] == POLICY
        await desk.sees("wrong: 1")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [(("enter",), "theirs"), (("right", "enter"), "theirs"), (("right", "right", "enter"), "mine")],
)
async def test_a_conflict_shows_the_difference_and_lets_one_choose(
    answer: tuple[str, ...], expected: str
) -> None:
    async with open_desk() as desk:
        await open_policy(desk)
        await edit(desk, "# mine")
        desk.backend.files["git"] = POLICY + "# theirs\n"
        await desk.press("ctrl+s")
        await desk.sees("The file changed on disk")
        await desk.sees("-# theirs")
        await desk.sees("+# mine")
        await desk.press(*answer)
        await desk.until(lambda: "Somebody saved" not in desk.text)
        if expected == "mine":
            await desk.until(lambda: "# mine" in desk.backend.files["git"])
        else:
            assert "# theirs" in desk.backend.files["git"]
        await desk.sees("# theirs" if answer == ("right", "enter") else "# mine")


async def test_a_file_that_changed_on_disk_replaces_only_an_unedited_text() -> None:
    async with open_desk() as desk:
        await open_policy(desk)
        desk.backend.files["git"] = POLICY + "# theirs\n"
        desk.backend.tell(policy_changes=1)
        await desk.sees("# theirs")
        await edit(desk, "# mine")
        desk.backend.files["git"] = POLICY + "# again\n"
        desk.backend.tell(policy_changes=2)
        await desk.sees("▲ the file changed on disk")
        await desk.sees("# mine")
        await desk.press("ctrl+r", "enter")
        await desk.sees("# mine")
        await desk.press("ctrl+r", "right", "enter")
        await desk.sees("# again")


async def test_shows_what_would_change() -> None:
    async with open_desk() as desk:
        await open_policy(desk)
        await desk.press("ctrl+t")
        await desk.until(lambda: "The text is what is enforced." in desk.notices)
        await edit(desk, "# note")
        await desk.press("ctrl+t")
        await desk.sees("What would change")
        await desk.sees("+# note")


async def test_brings_an_earlier_version_back() -> None:
    async with open_desk() as desk:
        await open_policy(desk)
        await desk.press("ctrl+l")
        await desk.sees("History of git.yaml")
        await desk.press("down", "enter")
        await desk.sees("+ on_block: refuse")
        await desk.press("right", "enter")
        await desk.until(lambda: "refuse" in desk.backend.files["git"])
        await desk.sees("on_block: refuse")


async def test_each_file_keeps_its_edits_while_another_one_is_looked_at() -> None:
    async with open_desk() as desk:
        await open_policy(desk)
        await edit(desk, "# mine")
        await desk.press("escape", "down")
        await desk.sees("plugin: npm")
        await desk.press("up")
        await desk.sees("# mine")


async def test_quitting_with_unsaved_changes_asks() -> None:
    async with open_desk() as desk:
        await open_policy(desk)
        await edit(desk, "# mine")
        await desk.press("escape", "q")
        await desk.sees("Unsaved changes of git.yaml will be lost.")


async def test_the_editor_follows_the_theme() -> None:
    async with open_desk() as desk:
        await open_policy(desk)
        assert desk.app.screen.query_one(TextArea).theme == "vscode_dark"
        await desk.press("T")
        await desk.until(lambda: desk.app.screen.query_one(TextArea).theme == "github_light")


async def test_says_what_an_edit_would_have_decided_differently() -> None:
    async with open_desk() as desk:
        await open_policy(desk)
        editor = desk.app.screen.query_one(TextArea)
        editor.load_text(editor.text.replace("[main, master, release/*, production]", "[]"))
        await desk.press("ctrl+t")
        await desk.sees("Of the latest 100 commands it would have decided these differently:")
        await desk.sees("✓ let through  git push origin main  (3 times)")
        await desk.press("escape")
        editor.load_text(editor.text.replace("[]", "[wrong]"))
        await desk.press("ctrl+t")
        await desk.sees("What it would decide is not known: Unknown key.")


async def test_quitting_ends_what_works_in_the_background() -> None:
    """Its screen is taken apart while it works: what it has to show then would have no place."""
    backend, checking, over = FakeBackend(), threading.Event(), threading.Event()

    def check(*_: object) -> tuple[()]:
        checking.set()
        over.wait(20)
        return ()

    backend.check_policy = check  # type: ignore[assignment, method-assign]
    async with open_desk(backend) as desk:
        await desk.press("4")
        await asyncio.to_thread(checking.wait, 20)
        (worker,) = [worker for worker in desk.app.workers if worker.group == "check"]
        desk.app.exit()
        over.set()
        assert worker.is_cancelled

from __future__ import annotations

import subprocess
import sys

import pytest
from textual.content import Content

from tests.tui.desk import open_desk
from tests.tui.fake import FakeBackend, plugin, request, status
from tui.screens.dialogs import confirmation

SEEN = {
    "1": "Latest blocked",
    "2": "request k7m2p9qd",
    "3": "100 rows",
    "4": "on_block: hold",
    "5": "No logs yet.",
}


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_number_keys_go_to_each_screen_from_anywhere(size: tuple[int, int]) -> None:
    async with open_desk(size=size) as desk:
        for key in "2345143215":
            await desk.press(key)
            await desk.sees(SEEN[key])
            await desk.until(lambda: "? Help  q Quit" in desk.text.splitlines()[-1])


@pytest.mark.parametrize(
    ("runtime", "reason", "facts"),
    [
        ("docker", "Docker answers, and the images are built", "docker runtime  ·  origin"),
        ("process", "as asked for", "process runtime  ·  origin"),
        ("process", "no engine answers", "  ·  process runtime: no engine answers"),
    ],
)
async def test_the_facts_name_the_runtime_once(runtime: str, reason: str, facts: str) -> None:
    told = status(runtime=runtime, runtime_reason=reason)
    async with open_desk(FakeBackend(status=told), size=(200, 24)) as desk:
        await desk.sees(facts)
        assert desk.text.count("runtime") == 1


async def test_tabs_take_clicks() -> None:
    async with open_desk() as desk:
        for offset, text in ((17, SEEN["2"]), (33, SEEN["3"]), (2, SEEN["1"])):
            await desk.pilot.click(offset=(offset, 0))
            await desk.sees(text)


async def test_a_click_chooses_a_row_and_a_double_click_opens_it() -> None:
    requests = (request(), request("second22", args=("push", "second"), waiting=0, deadline=None))
    async with open_desk(FakeBackend(requests=requests)) as desk:
        await desk.press("2")
        await desk.sees("git push second")
        line = next(number for number, text in enumerate(desk.text.splitlines()) if "git push second" in text)
        await desk.pilot.click(offset=(12, line))
        await desk.sees("request second22")
        await desk.pilot.click(offset=(12, line), times=2)
        await desk.sees("Request second22")


async def test_help_tells_the_keys_of_the_screen_in_front() -> None:
    async with open_desk() as desk:
        await desk.press("3", "question_mark")
        await desk.sees("On Audit")
        await desk.sees("Show only rows that contain a text")
        await desk.press("escape")
        await desk.until(lambda: "On Audit" not in desk.text)


async def test_the_palette_finds_commands_by_what_they_do() -> None:
    async with open_desk(FakeBackend(status=status(plugins=(plugin(running=0),)))) as desk:
        await desk.press("ctrl+p")
        await desk.type("restart")
        await desk.sees("Restart the selected plugin.")
        await desk.press("enter")
        await desk.until(lambda: desk.backend.asked == [("restart", "git")])


async def test_digits_typed_into_a_question_do_not_change_screens() -> None:
    async with open_desk() as desk:
        await desk.press("d", "3")
        assert desk.app.current_mode == "dashboard"
        await desk.press("enter")
        await desk.until(lambda: desk.backend.asked == [("deny", "k7m2p9qd", "3")])


async def test_a_screen_in_the_background_is_current_when_it_comes_to_front() -> None:
    async with open_desk() as desk:
        await desk.press("2")
        await desk.sees("request k7m2p9qd")
        await desk.press("1")
        desk.backend.tell(requests=())
        await desk.press("2")
        await desk.sees("No requests.")


async def test_both_themes_work_on_every_screen() -> None:
    async with open_desk() as desk:
        for key, text in SEEN.items():
            await desk.press(key, "T")
            await desk.sees(text)


def test_the_first_paint_loads_no_screen_but_the_dashboard() -> None:
    """What is imported before the first paint delays it."""
    code = (
        "import sys, tui.main, tui.app, tui.live; "
        "heavy = ('tui.screens.audit', 'tui.screens.policy', 'tui.screens.logs', 'tui.screens.approvals',"
        " 'sqlite3', 'yaml', 'tree_sitter', 'watchfiles', 'docker', 'pydantic'); "
        "print(*[name for name in heavy if name in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.split() == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--workspace", "/does/not/exist"], 1, "error: /does/not/exist is not a directory."),
        ([], 1, "error: cc-tui needs a terminal."),
        (["--nonsense"], 2, "usage: cc-tui"),
        (["--help"], 0, ""),
    ],
)
def test_says_in_one_line_why_it_cannot_start(arguments: list[str], code: int, said: str) -> None:
    command = [sys.executable, "-c", "from tui.main import main; main()", *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


async def test_the_answers_to_a_question_are_in_view_however_much_there_is_to_read() -> None:
    async with open_desk(size=(80, 24)) as desk:
        long = Content("\n".join(f"line {number}" for number in range(200)))
        desk.app.push_screen(confirmation("Sure?", "It is long.", safe="Cancel", act="Save", body=long))
        await desk.sees("Cancel")
        await desk.sees("Save")
        await desk.sees("line 3")

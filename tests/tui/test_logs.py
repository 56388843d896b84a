from __future__ import annotations

from pathlib import Path

from tests.tui.desk import Driver, open_desk
from tests.tui.fake import FakeBackend
from tui.tail import Tail
from tui.widgets.log_view import LogView


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


async def poll(desk: Driver) -> None:
    desk.app.screen._poll()  # type: ignore[attr-defined]
    await desk.pilot.pause()


async def test_shows_a_log_and_follows_it_at_the_end_only(tmp_path: Path) -> None:
    log = tmp_path / "supervisor.log"
    append(log, "".join(f"line {number}\n" for number in range(100)))
    async with open_desk(FakeBackend(logs=tmp_path)) as desk:
        await desk.press("5")
        await desk.sees("line 99")
        append(log, "line 100\n")
        await poll(desk)
        await desk.sees("line 100")
        await desk.press("home")
        await desk.sees("not following")
        append(log, "line 101\n")
        await poll(desk)
        await desk.until(lambda: desk.app.screen.query_one(LogView).count == 102)
        assert "line 101" not in desk.text
        await desk.press("f")
        await desk.sees("line 101")


async def test_n_shows_the_next_log(tmp_path: Path) -> None:
    append(tmp_path / "a.log", "from a\n")
    append(tmp_path / "b.log", "from b\n")
    async with open_desk(FakeBackend(logs=tmp_path)) as desk:
        await desk.press("5")
        await desk.sees("from a")
        await desk.press("n")
        await desk.sees("from b")


async def test_control_characters_are_inert(tmp_path: Path) -> None:
    append(tmp_path / "a.log", "\x1b[2Jgone \u202egnirts\n")
    async with open_desk(FakeBackend(logs=tmp_path)) as desk:
        await desk.press("5")
        await desk.sees(r"\x1b[2Jgone \u202egnirts")


async def test_memory_is_bounded(tmp_path: Path) -> None:
    async with open_desk(FakeBackend(logs=tmp_path)) as desk:
        await desk.press("5")
        view = desk.app.screen.query_one(LogView)
        for _ in range(5):
            view.add(["x"] * 10_000)
        assert view.count == len(view.lines) == 20_000


def test_a_tail_reads_whole_lines_only_and_each_once(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    append(log, "one\ntw")
    tail = Tail(log)
    assert tail.read() == ["one"]
    append(log, "o\nthree\n")
    assert tail.read() == ["two", "three"]
    assert tail.read() == []


def test_a_tail_starts_over_when_the_file_is_truncated_or_replaced(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    append(log, "before the truncation\n")
    tail = Tail(log)
    tail.read()
    log.write_text("new\n")
    assert tail.read() == ["new"]
    other = tmp_path / "other"
    other.write_text("replaced, and longer than before\n")
    other.replace(log)
    assert tail.read() == ["replaced, and longer than before"]


def test_a_tail_of_a_huge_file_reads_its_end_alone(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    append(log, "x" * (3 << 20) + "\nlast\n")
    assert Tail(log).read() == ["last"]

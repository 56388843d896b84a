from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from plugins.base.errors import ClaudeContainerError
from supervisor.audit.reader import AuditFilter, AuditReader, AuditRow
from supervisor.audit.store import AuditStore
from tests.tui.desk import Driver, open_desk
from tests.tui.fake import FakeBackend, FakeMatches, row
from tui.home_files import LogMatches
from tui.widgets.audit_list import AuditList
from tui.widgets.columns import Cell

_MILLION = 1_000_000


def rows_of(desk: Driver) -> AuditList:
    return desk.app.screen.query_one(AuditList)


async def open_audit(desk: Driver) -> None:
    await desk.press("3")
    await desk.sees("rows")
    await desk.until(lambda: "…" not in desk.text.split("rule")[1].split("rows")[0], "the page")


async def test_opens_at_the_newest_row() -> None:
    async with open_desk() as desk:
        await open_audit(desk)
        await desk.sees("100 rows")
        assert rows_of(desk).cursor == 99


async def test_filter_keys_narrow_down_and_escape_shows_all_again() -> None:
    async with open_desk() as desk:
        await open_audit(desk)
        await desk.press("b")
        await desk.sees("10 of 100 rows · only refused")
        assert "✓ allowed" not in desk.text
        await desk.press("o")
        await desk.sees("90 of 100 rows · only allowed")
        await desk.press("escape")
        await desk.sees("100 rows")


async def test_search_narrows_down_while_typing() -> None:
    async with open_desk() as desk:
        await open_audit(desk)
        await desk.press("slash")
        await desk.type("topic-77")
        await desk.sees("1 of 100 rows · search: topic-77")
        await desk.press("enter", "enter")
        await desk.sees("Audit row 77")


async def test_says_when_nothing_matches() -> None:
    async with open_desk() as desk:
        await open_audit(desk)
        await desk.press("slash", *"zzz")
        await desk.sees("No row matches.")


async def test_enter_shows_everything_recorded() -> None:
    async with open_desk() as desk:
        await open_audit(desk)
        await desk.press("enter")
        for text in (
            "✖ blocked",
            "blocked_branches (line 4)",
            "Branch main is protected.",
            "uid=1000 pid=5151",
        ):
            await desk.sees(text)


async def test_follows_new_rows_only_at_the_end() -> None:
    async with open_desk() as desk:
        await open_audit(desk)
        desk.backend.audit.append(row(101))
        desk.backend.tell(newest=101)
        await desk.until(lambda: rows_of(desk).cursor == 100)
        await desk.press("home")
        desk.backend.audit.extend(row(seq) for seq in range(102, 139))
        desk.backend.tell(newest=138)
        await desk.sees("▼ 37 new")
        assert rows_of(desk).cursor == 0
        await desk.press("end")
        await desk.until(lambda: "new" not in desk.text)


async def test_exports_what_is_shown(tmp_path: Path) -> None:
    async with open_desk() as desk:
        await open_audit(desk)
        await desk.press("b")
        await desk.sees("10 of 100 rows")
        await desk.press("e")
        await desk.sees("to a new file")
        await desk.press(*["backspace"] * len("audit.jsonl"))
        await desk.type(str(tmp_path / "x.csv"))
        await desk.press("enter")
        await desk.until(lambda: desk.backend.asked)
        (_, wanted, target), *_ = desk.backend.asked
        assert isinstance(wanted, AuditFilter)
        assert "blocked" in wanted.verdicts
        assert target == tmp_path / "x.csv"


async def test_a_log_that_cannot_be_read_says_why_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(self: FakeMatches) -> int:
        raise ClaudeContainerError("The audit log is damaged.", hint="Restore a copy.")

    monkeypatch.setattr(FakeMatches, "count", unreadable)
    async with open_desk() as desk:
        await desk.press("3")
        await desk.sees("The audit log cannot be read. The audit log is damaged. Restore a copy.")
        await desk.until(lambda: desk.notices)
        desk.backend.tell(newest=101)
        desk.backend.tell(newest=102)
        await desk.pilot.pause(0.05)
        assert len(desk.notices) == 1


async def test_an_answer_to_an_older_question_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    honest, gate = FakeMatches.count, asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow_for_blocked(self: FakeMatches) -> int:
        if self.wanted.verdicts == ("allowed", "approved"):
            asyncio.run_coroutine_threadsafe(gate.wait(), loop).result(timeout=20)
        return honest(self)

    async with open_desk() as desk:
        await open_audit(desk)
        monkeypatch.setattr(FakeMatches, "count", slow_for_blocked)
        await desk.press("o")
        await desk.sees("looking …")
        await desk.press("b")
        await desk.sees("10 of 100 rows")
        gate.set()
        await desk.pilot.pause(0.05)
        assert rows_of(desk).count == 10


# ---------------------------------------------------------------- a million rows
# Their log is made once, which takes a while on a busy machine.


@pytest.fixture(scope="module")
def million(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real log, written by the real store for its first row and copied by SQLite to a million."""
    path = tmp_path_factory.mktemp("audit") / "audit.db"
    asyncio.run(_first_row(path))
    with closing(sqlite3.connect(path)) as connection:
        columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(event)")]
        values = [
            "number" if name == "seq" else "printf('%032x', number)" if name == "id" else name
            for name in columns
        ]
        connection.execute("DROP INDEX IF EXISTS event_command")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(
            "WITH RECURSIVE counter(number) AS (SELECT 2 UNION ALL SELECT number + 1 FROM counter LIMIT ?)"
            f" INSERT INTO event ({', '.join(columns)}) SELECT {', '.join(values)} FROM counter, event"
            " WHERE event.seq = 1",
            (_MILLION - 1,),
        )
        connection.commit()
    return path


async def _first_row(path: Path) -> None:
    store = AuditStore(path)
    store.open()
    await store.append([row(1).event.model_copy(update={"command": ""})], ())
    store.close()


class MillionBackend(FakeBackend):
    def __init__(self, path: Path) -> None:
        super().__init__(newest=_MILLION)
        self.reader = AuditReader(path)

    async def close(self) -> None:
        # A thread may still be reading the page of a view that is gone.
        await asyncio.get_running_loop().shutdown_default_executor()
        self.reader.close()

    def matches(self, wanted: AuditFilter) -> Recording:  # type: ignore[override]
        return Recording(LogMatches(self.reader, wanted), self.fetched.append)


class Recording:
    """Notes which pages are read."""

    def __init__(self, matches: LogMatches, note: Callable[[int], None]) -> None:
        self._matches = matches
        self._note = note

    def count(self) -> int:
        return self._matches.count()

    def rows(self, first: int, limit: int) -> Sequence[AuditRow]:
        self._note(first)
        return self._matches.rows(first, limit)


@pytest.mark.xdist_group("million-rows")
@pytest.mark.timeout(300)
async def test_a_million_rows_are_read_a_page_at_a_time_and_forgotten_again(million: Path) -> None:
    backend = MillionBackend(million)
    async with open_desk(backend) as desk:
        await open_audit(desk)
        await desk.sees("1,000,000 rows")
        await desk.sees("1000000")
        assert len(backend.fetched) <= 2, "opening reads the last page, and no other"
        await desk.press("home")
        await desk.until(lambda: rows_of(desk).row(0) is not None)
        for place in range(0, _MILLION, _MILLION // 50):
            rows_of(desk).cursor = place
            await desk.until(lambda place=place: rows_of(desk).row(place) is not None)  # type: ignore[misc]
        assert rows_of(desk).pages_held <= 20
    await backend.close()


@pytest.mark.xdist_group("million-rows")
@pytest.mark.timeout(300)
async def test_only_the_rows_in_view_are_drawn(million: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = MillionBackend(million)
    async with open_desk(backend) as desk:
        await open_audit(desk)
        rows = rows_of(desk)
        drawn: list[int] = []

        def cells(index: int) -> tuple[Cell, ...]:
            drawn.append(index)
            return (Cell("here"),)

        monkeypatch.setattr(rows, "cells", cells)
        for y in range(rows.size.height):
            rows.render_line(y)
        assert len(drawn) == rows.size.height - 1, "one line is the header"
    await backend.close()

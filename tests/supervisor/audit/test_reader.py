"""Reading the log: any page, any filter, from any thread, also after somebody meddled with it."""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plugins.base.control import AuditEvent, Update
from plugins.base.model import Verdict
from supervisor.audit.reader import AuditFilter, AuditReader
from supervisor.audit.schema import AuditError
from supervisor.audit.store import AuditStore
from tests.supervisor.audit.examples import event, events, fill

_ALL = AuditFilter()
_BLOCKED = AuditFilter(verdicts=("blocked",))

VARIED = [
    event(0, reason="Über alles: 100% safe_mode"),
    event(1, plugin="npm", verdict=Verdict.DENIED, args=("Publish", "--tag", "beta")),
    event(2, request="abcd2345", verdict=Verdict.HELD),
    event(3, time=500.0),
    event(4, updates=(Update(ref="refs/heads/Release/1", old="0" * 40, new="3" * 40),)),
    event(5, verdict="info", layer="supervisor", args=(), reason="npm: started"),
    event(6, remote="https://example.com/o/r.git"),
]


@pytest.fixture
async def log(tmp_path: Path) -> Path:
    await fill(tmp_path / "audit.db", VARIED)
    return tmp_path / "audit.db"


def _matches(chosen: AuditFilter, stored: AuditEvent) -> bool:
    """What a filter means, in Python."""
    words = [
        stored.rule,
        stored.request,
        stored.reason,
        stored.remote,
        " ".join((stored.plugin, *stored.args)),
    ]
    words += [update.ref for update in stored.updates]
    return (
        chosen.plugin in ("", stored.plugin)
        and (not chosen.verdicts or stored.verdict in chosen.verdicts)
        and any(chosen.text.casefold() in word.casefold() for word in words)
        and (chosen.since is None or stored.time >= chosen.since)
        and (chosen.until is None or stored.time <= chosen.until)
    )


_FILTERS = st.builds(
    AuditFilter,
    plugin=st.sampled_from(("", "git", "npm", "gh")),
    verdicts=st.lists(st.sampled_from([*Verdict, "info"]), max_size=3).map(tuple),
    text=st.sampled_from(
        (
            "",
            "über",
            "100%",
            "safe_mode",
            "%",
            "_",
            "push origin main",
            "RELEASE/",
            "abcd2345",
            "zzz",
            "'",
            "beta",
        )
    ),
    since=st.sampled_from((None, 0.0, 1002.0, 2000.0)),
    until=st.sampled_from((None, 0.0, 1004.0, 2000.0)),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(chosen=_FILTERS, first=st.integers(-2, 9), limit=st.integers(-1, 9))
def test_every_filter_and_every_page_is_right(log: Path, chosen: AuditFilter, first: int, limit: int) -> None:
    reader = AuditReader(log)
    expected = [seq for seq, stored in enumerate(VARIED, 1) if _matches(chosen, stored)]
    assert reader.count(chosen) == len(expected)
    assert [*reader.index(chosen)] == expected
    start, size = max(first, 0), max(limit, 0)
    assert [row.seq for row in reader.rows(chosen, first, limit)] == expected[start : start + size]
    assert [row.seq for row in reader.latest(chosen, limit)] == expected[::-1][:size]
    reader.close()


def test_one_row_by_its_number(log: Path) -> None:
    reader = AuditReader(log)
    row = reader.row(2)
    assert row is not None
    assert row.event == VARIED[1]
    assert [reader.row(seq) for seq in (0, -1, 8, 1 << 63, 1 << 70)] == [None] * 5


async def test_an_empty_log_reads_as_nothing(tmp_path: Path) -> None:
    await fill(tmp_path / "audit.db", [])
    reader = AuditReader(tmp_path / "audit.db")
    assert (reader.newest(), reader.count(_ALL), reader.rows(_ALL, 0, 9), reader.latest(_BLOCKED, 9)) == (
        0,
        0,
        [],
        [],
    )
    assert [*reader.index(_ALL)] == []


async def test_what_is_added_later_is_matched_too(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    store, reader = AuditStore(path), AuditReader(path)
    store.open()
    await store.append(events(range(9)), [])
    before = reader.index(_BLOCKED)
    await store.append(events(range(9, 12)), [])
    assert [*reader.index(_BLOCKED)] == [1, 4, 7, 10]
    assert [*before] == [1, 4, 7]  # an index that was handed out does not change under its user
    store.close()


async def test_more_filters_than_are_remembered_stay_right(tmp_path: Path) -> None:
    await fill(tmp_path / "audit.db", events(range(30)))
    reader = AuditReader(tmp_path / "audit.db")
    for _ in range(2):
        for number in range(8):
            assert reader.count(AuditFilter(since=1000.0 + number)) == 30 - number


def test_any_thread_may_read(log: Path) -> None:
    reader = AuditReader(log)
    with ThreadPoolExecutor(8) as pool:
        counts = [*pool.map(lambda _: (reader.count(_BLOCKED), len(reader.rows(_ALL, 0, 99))), range(64))]
    reader.close()
    assert set(counts) == {(3, 7)}
    assert reader.newest() == 7  # it may be used again after close


async def test_reading_writes_nothing(log: Path) -> None:
    before = log.read_bytes()
    reader = AuditReader(log)
    await asyncio.to_thread(reader.index, _BLOCKED)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._connection().execute("DELETE FROM event")
    reader.close()
    assert log.read_bytes() == before


def test_a_row_made_unreadable_shows_as_such(log: Path) -> None:
    with closing(sqlite3.connect(log)) as connection:
        connection.execute("UPDATE event SET body = '{' WHERE seq = 2")
        connection.commit()
    rows = AuditReader(log).rows(_ALL, 0, 3)
    assert [row.event.verdict for row in rows] == ["blocked", "error", "held"]
    assert "audit verify" in rows[1].event.reason


def test_no_log_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="There is no audit log"):
        AuditReader(tmp_path / "audit.db").newest()

"""Any change to a stored row is seen, wherever it is and however small."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supervisor.audit.chain import Verification, verify
from supervisor.audit.reader import AuditFilter, AuditReader
from supervisor.audit.schema import AuditError, link
from supervisor.audit.store import AuditStore
from tests.supervisor.audit.examples import event, events, fill, outcome

_ROWS = 12
_NUMBERS = st.integers(1, _ROWS)
_COLUMNS = ("id", "time", "plugin", "verdict", "command", "search", "body", "hash")


@pytest.fixture
async def log(tmp_path: Path) -> Path:
    path = tmp_path / "audit.db"
    await fill(path, events(range(_ROWS)), [outcome(number) for number in range(_ROWS)])
    return path


@contextmanager
def meddled(log: Path) -> Iterator[sqlite3.Connection]:
    """The log, opened by somebody who may write it."""
    with closing(sqlite3.connect(log)) as connection:
        yield connection
        connection.commit()


def test_an_untouched_log_holds(log: Path) -> None:
    result = verify(log)
    assert (result.ok, result.rows, result.first_bad, result.problem) == (True, _ROWS, None, "")
    assert len(result.head) == 64


async def test_an_empty_log_holds(tmp_path: Path) -> None:
    await fill(tmp_path / "audit.db", [])
    assert verify(tmp_path / "audit.db").ok


async def test_a_log_in_use_can_be_checked(tmp_path: Path) -> None:
    store = AuditStore(tmp_path / "audit.db")
    store.open()
    await store.append(events(range(5)), [])
    assert verify(tmp_path / "audit.db").rows == 5
    await store.append(events(range(9)), [])
    assert verify(tmp_path / "audit.db").rows == 9
    store.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(number=_NUMBERS, column=st.sampled_from(_COLUMNS), data=st.data())
def test_an_edited_cell_is_found_at_its_row(log: Path, number: int, column: str, data: st.DataObject) -> None:
    copy = log.with_name("copy.db")
    shutil.copy(log, copy)
    with meddled(copy) as connection:
        (value,) = connection.execute(f"SELECT {column} FROM event WHERE seq = ?", (number,)).fetchone()
        connection.execute(f"UPDATE event SET {column} = ? WHERE seq = ?", (_changed(value, data), number))
    result = verify(copy)
    assert not result.ok
    assert result.first_bad == number
    assert result.rows == number - 1
    assert str(number) in result.problem


def _changed(value: object, data: st.DataObject) -> object:
    """The value with one thing changed."""
    if isinstance(value, float):
        return value + data.draw(st.sampled_from((1.0, -0.001)))
    if isinstance(value, bytes):
        at = data.draw(st.integers(0, len(value) - 1))
        return value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]
    text = str(value)
    at = data.draw(st.integers(0, len(text)))
    return text[:at] + data.draw(st.sampled_from(("x", " ", "é"))) + text[at:]


@pytest.mark.parametrize("column", ["id", "command", "body", "hash"])
def test_an_edited_outcome_is_found(log: Path, column: str) -> None:
    with meddled(log) as connection:
        change = "x'00'" if column == "hash" else f"{column} || ' '"
        connection.execute(f"UPDATE outcome SET {column} = {change} WHERE seq = 4")
    result = verify(log)
    assert not result.ok
    assert "outcome 4" in result.problem


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(gone=st.sets(_NUMBERS, min_size=1))
def test_removed_rows_are_found_wherever_they_were(log: Path, gone: set[int]) -> None:
    copy = log.with_name("copy.db")
    shutil.copy(log, copy)
    with meddled(copy) as connection:
        connection.executemany("DELETE FROM event WHERE seq = ?", [(number,) for number in gone])
    result = verify(copy)
    assert not result.ok
    assert result.first_bad == min(gone)
    assert "missing" in result.problem


@pytest.mark.parametrize("table", ["event", "outcome"])
def test_a_log_that_was_cut_off_is_found(log: Path, table: str) -> None:
    with meddled(log) as connection:
        connection.execute(f"DELETE FROM {table} WHERE seq > 8")
    result = verify(log)
    assert not result.ok
    assert result.problem == f"{table}s 9 to 12 are missing at the end."


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(pair=st.lists(_NUMBERS, min_size=2, max_size=2, unique=True))
def test_exchanged_rows_are_found(log: Path, pair: list[int]) -> None:
    copy = log.with_name("copy.db")
    shutil.copy(log, copy)
    one, other = pair
    with meddled(copy) as connection:
        for old, new in ((one, -1), (other, one), (-1, other)):
            connection.execute("UPDATE event SET seq = ? WHERE seq = ?", (new, old))
    assert verify(copy).first_bad == min(pair)


def test_removed_rows_are_found_when_the_rest_is_renumbered(log: Path) -> None:
    with meddled(log) as connection:
        connection.execute("DELETE FROM event WHERE seq = 5")
        for number in range(6, _ROWS + 1):
            connection.execute("UPDATE event SET seq = seq - 1 WHERE seq = ?", (number,))
        connection.execute("UPDATE head SET rows = rows - 1 WHERE chain = 'event'")
    assert verify(log).first_bad == 5


@pytest.mark.parametrize("seq", [-3, 0, 13, 99])
def test_an_added_row_is_found(log: Path, seq: int) -> None:
    with meddled(log) as connection:
        _add_row(connection, seq, b"0" * 32)
    assert not verify(log).ok


def test_a_row_added_at_the_end_is_found_though_its_hash_is_right(log: Path) -> None:
    with meddled(log) as connection:
        (last,) = connection.execute("SELECT hash FROM event WHERE seq = ?", (_ROWS,)).fetchone()
        _add_row(connection, _ROWS + 1, link(last, _ROWS + 1, event(99).model_dump_json()))
    result = verify(log)
    assert result.first_bad == _ROWS + 1
    assert "added" in result.problem


def _add_row(connection: sqlite3.Connection, seq: int, hashed: bytes) -> None:
    connection.execute(
        "INSERT INTO event SELECT ?, ?, time, plugin, verdict, command, search, ?, ? FROM event"
        " WHERE seq = 3",
        (seq, "forged", event(99).model_dump_json(), hashed),
    )


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM head",
        "DELETE FROM head WHERE chain = 'outcome'",
        "UPDATE head SET rows = rows + 1 WHERE chain = 'event'",
        "UPDATE head SET rows = rows - 1 WHERE chain = 'event'",
        "UPDATE head SET hash = x'00' WHERE chain = 'event'",
    ],
)
def test_a_changed_record_of_the_end_is_found(log: Path, change: str) -> None:
    with meddled(log) as connection:
        connection.execute(change)
    assert not verify(log).ok


async def test_a_cut_log_goes_on_and_the_gap_stays_visible(log: Path) -> None:
    with meddled(log) as connection:
        connection.execute("DELETE FROM event WHERE seq > 8")
    await fill(log, [event(50)])
    assert verify(log) == Verification(False, 8, 9, "events 9 to 12 are missing.", verify(log).head)
    assert AuditReader(log).latest(AuditFilter(), 1)[0].event == event(50)


async def test_a_row_in_the_way_of_the_next_one_is_one_clear_error(log: Path) -> None:
    with meddled(log) as connection:
        _add_row(connection, _ROWS + 1, b"0" * 32)
    with pytest.raises(AuditError, match=r"audit\.db"):
        await fill(log, [event(50)])


def test_a_damaged_file_is_a_finding_not_a_crash(log: Path) -> None:
    content = bytearray(log.read_bytes())
    content[4096 * 2 :] = bytes(len(content) - 4096 * 2)
    log.write_bytes(content)
    result = verify(log)
    assert not result.ok
    assert "audit.db" in result.problem


def test_nothing_to_check_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="no audit log"):
        verify(tmp_path / "audit.db")

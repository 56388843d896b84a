"""The audit log's writer: whole batches, once each, in a private file, through every mishap."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from plugins.base.model import Layer
from supervisor.audit.chain import verify
from supervisor.audit.reader import AuditFilter, AuditReader
from supervisor.audit.schema import AuditError
from supervisor.audit.store import AuditStore
from tests.supervisor.audit.examples import event, events, fill, outcome

_ALL = AuditFilter()


async def test_what_was_appended_is_there_and_numbered_without_gaps(tmp_path: Path) -> None:
    await fill(tmp_path / "audit.db", events(range(5)))
    reader = AuditReader(tmp_path / "audit.db")
    rows = reader.rows(_ALL, 0, 100)
    assert [row.seq for row in rows] == [1, 2, 3, 4, 5]
    assert [row.event for row in rows] == events(range(5))


async def test_the_newest_number_is_returned_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    for expected, numbers in ((3, range(3)), (5, range(3, 5))):
        store = AuditStore(tmp_path / "audit.db")
        store.open()
        assert await store.append(events(numbers), []) == expected
        store.close()


async def test_sending_again_changes_nothing(tmp_path: Path) -> None:
    store = AuditStore(tmp_path / "audit.db")
    store.open()
    await store.append(events(range(4)), [outcome(1)])
    assert await store.append(events(range(2, 6)), [outcome(1), outcome(2)]) == 6
    assert await store.append([event(9), event(9)], [outcome(9), outcome(9)]) == 7
    store.close()
    result = verify(tmp_path / "audit.db")
    assert (result.ok, result.rows) == (True, 7)


async def test_an_outcome_shows_at_every_layer_of_its_command(tmp_path: Path) -> None:
    hook = event(3, id="f" * 32, layer=Layer.HOOK)
    await fill(
        tmp_path / "audit.db", [event(3), hook, event(4), event(5, command="")], [outcome(3, exit_code=7)]
    )
    rows = AuditReader(tmp_path / "audit.db").rows(_ALL, 0, 9)
    assert [row.exit_code for row in rows] == [7, 7, None, None]
    assert rows[0].duration_ms == 1.5


async def test_an_outcome_may_come_later_and_its_first_report_counts(tmp_path: Path) -> None:
    await fill(tmp_path / "audit.db", [event(1)])
    await fill(tmp_path / "audit.db", [], [outcome(1, exit_code=1)])
    await fill(tmp_path / "audit.db", [], [outcome(1, exit_code=2).model_copy(update={"id": "another"})])
    row = AuditReader(tmp_path / "audit.db").row(1)
    assert row is not None
    assert row.exit_code == 1


async def test_numbers_beyond_64_bits_and_odd_text_are_kept(tmp_path: Path) -> None:
    odd = event(1, args=("\\x1b[31m", "naïve", "日本", "\x00", '"'), rule_line=2**70)
    await fill(tmp_path / "audit.db", [odd], [outcome(1, exit_code=2**70)])
    row = AuditReader(tmp_path / "audit.db").row(1)
    assert row is not None
    assert row.event == odd
    assert row.exit_code == 2**70


async def test_the_file_and_its_companions_are_private(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    path.touch(0o644)
    before = os.umask(0)
    try:
        store = AuditStore(path)
        store.open()
        await store.append([event(1)], [])
        modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
        store.close()
    finally:
        os.umask(before)
    assert modes == {"audit.db": 0o600, "audit.db-wal": 0o600, "audit.db-shm": 0o600}


async def test_many_plugins_append_at_once(tmp_path: Path) -> None:
    store = AuditStore(tmp_path / "audit.db")
    store.open()
    async with asyncio.TaskGroup() as group:
        for first in range(0, 200, 10):
            group.create_task(store.append(events(range(first, first + 10)), []))
    store.close()
    result = verify(tmp_path / "audit.db")
    assert (result.ok, result.rows) == (True, 200)


async def test_a_sender_that_gives_up_does_not_disturb_the_others(tmp_path: Path) -> None:
    store = AuditStore(tmp_path / "audit.db")
    store.open()
    gone = asyncio.ensure_future(store.append([event(1)], []))
    await asyncio.sleep(0)
    gone.cancel()
    assert await store.append([event(2)], []) == 2
    store.close()


async def test_what_was_appended_before_close_is_written_and_nothing_after(tmp_path: Path) -> None:
    store = AuditStore(tmp_path / "audit.db")
    store.open()
    last = asyncio.ensure_future(store.append(events(range(1000)), []))
    await asyncio.sleep(0)
    store.close()
    assert await last == 1000
    with pytest.raises(AuditError, match="closed"):
        await store.append([event(1)], [])
    store.close()


async def test_a_hundred_thousand_events_are_all_there(tmp_path: Path) -> None:
    store = AuditStore(tmp_path / "audit.db")
    store.open()
    for first in range(0, 100_000, 5_000):
        await store.append(events(range(first, first + 5_000)), [])
    store.close()
    reader = AuditReader(tmp_path / "audit.db")
    assert reader.newest() == 100_000
    assert reader.rows(_ALL, 99_999, 10)[0].event == event(99_999)
    assert reader.count(AuditFilter(verdicts=("blocked",))) == 33_334


_KILLED = """
import asyncio, sys
from pathlib import Path
from supervisor.audit.store import AuditStore
from tests.supervisor.audit.examples import events

async def main():
    store = AuditStore(Path(sys.argv[1]))
    store.open()
    for first in range(0, 1_000_000, 50):
        await store.append(events(range(first, first + 50)), [])
        print(first + 50, flush=True)

asyncio.run(main())
"""


async def test_a_writer_killed_in_the_middle_loses_nothing_it_confirmed(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    writer = subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(path)],
        stdout=subprocess.PIPE, cwd=Path(__file__).parents[3], text=True,
    )  # fmt: skip
    assert writer.stdout is not None
    with writer.stdout:
        for line in writer.stdout:
            if int(line) >= 500:
                writer.send_signal(signal.SIGKILL)
                break
        confirmed = max([500, *(int(rest) for rest in writer.stdout)])
    writer.wait()
    survived = AuditReader(path).newest()
    assert survived >= confirmed
    await fill(path, events(range(confirmed + 100)))  # the plugin sends everything again
    reader = AuditReader(path)
    stored = reader.rows(_ALL, 0, survived + 200)
    assert [row.event for row in stored] == events(range(max(survived, confirmed + 100)))
    assert verify(path).ok


async def test_reading_goes_on_while_writing(tmp_path: Path) -> None:
    store = AuditStore(tmp_path / "audit.db")
    store.open()
    reader = AuditReader(tmp_path / "audit.db")
    for first in range(0, 500, 50):
        writing = asyncio.ensure_future(store.append(events(range(first, first + 50)), []))
        while not writing.done():
            newest = await asyncio.to_thread(reader.newest)
            rows = await asyncio.to_thread(reader.rows, _ALL, 0, newest)
            assert len(rows) == newest
            assert newest % 50 == 0  # a batch is seen whole or not at all
    store.close()
    reader.close()


_FULL = """
import asyncio, resource, sys
from pathlib import Path
from supervisor.audit.schema import AuditError
from supervisor.audit.store import AuditStore
from tests.supervisor.audit.examples import events

async def main():
    store = AuditStore(Path(sys.argv[1]))
    store.open()
    await store.append(events(range(10)), [])
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    for _ in range(2):
        try:
            await store.append(events(range(10, 5000)), [])
        except AuditError as error:
            print(error.message, "|", error.hint)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    print(await store.append(events(range(10, 5000)), []))
    store.close()

asyncio.run(main())
"""


def test_a_full_disk_is_one_clear_error_and_the_batch_can_be_sent_again(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    done = subprocess.run(
        [sys.executable, "-c", _FULL, str(path)],
        cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True,
    )  # fmt: skip
    *failures, newest = done.stdout.splitlines()
    assert len(failures) == 2
    assert all("audit.db" in line and "free space" in line.lower() for line in failures), failures
    assert newest == "5000"
    assert verify(path).ok


async def test_a_locked_log_is_one_clear_error_and_the_batch_can_be_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supervisor.sqlite_file._BUSY_SECONDS", 0.05)
    store = AuditStore(tmp_path / "audit.db")
    store.open()
    with closing(sqlite3.connect(tmp_path / "audit.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(AuditError, match="locked by another program"):
            await store.append([event(1)], [])
        other.execute("ROLLBACK")
        assert await store.append([event(1)], []) == 1
    store.close()


async def test_two_writers_keep_one_chain(tmp_path: Path) -> None:
    first, second = AuditStore(tmp_path / "audit.db"), AuditStore(tmp_path / "audit.db")
    first.open()
    second.open()
    for number in range(0, 40, 2):
        await asyncio.gather(first.append([event(number)], []), second.append([event(number + 1)], []))
    first.close()
    second.close()
    result = verify(tmp_path / "audit.db")
    assert (result.ok, result.rows) == (True, 40)

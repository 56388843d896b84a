"""Records outlive the process, come in order, and go when they are stored."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugins.base.events.spool import Spool, SpoolError


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def spool(directory: Path) -> Iterator[Spool]:
    opened = Spool.open(directory)
    yield opened
    opened.close()


def _event(number: int) -> bytes:
    return json.dumps({"id": number}).encode()


def _drain(spool: Spool) -> list[int]:
    """Take and store everything; the ids."""
    ids: list[int] = []
    while (batch := spool.take()) is not None:
        ids += [json.loads(record)["id"] for record in (*batch.events, *batch.outcomes)]
        spool.stored(batch)
    return ids


def test_records_come_out_in_order_and_once(spool: Spool) -> None:
    for number in range(3):
        spool.event(_event(number))
    assert spool.pending == 3
    assert _drain(spool) == [0, 1, 2]
    assert spool.pending == 0
    assert spool.take() is None


def test_what_was_not_stored_is_there_after_a_restart(spool: Spool, directory: Path) -> None:
    spool.event(_event(1))
    spool.outcome(_event(2))
    assert spool.take() is not None  # handed out, but nobody said that it is stored
    again = Spool.open(directory)
    assert again.pending == 2
    batch = again.take()
    assert batch is not None
    assert (batch.events, batch.outcomes) == ((_event(1),), (_event(2),))
    again.close()


def test_a_torn_last_line_is_left_out_and_the_next_one_is_whole(spool: Spool, directory: Path) -> None:
    spool.event(_event(1))
    with next(directory.glob("*.log")).open("ab") as file:
        file.write(b'E{"id": 2, "to')
    again = Spool.open(directory)
    again.event(_event(3))
    assert _drain(again) == [1, 3]
    again.close()


@pytest.mark.parametrize("garbage", [b"\0" * 100 + b"\n", b"E{]\n", b"E[]\n", b"\n", b"E\xff\n"])
def test_a_line_that_is_not_a_record_is_left_out(spool: Spool, directory: Path, garbage: bytes) -> None:
    spool.event(_event(1))
    with next(directory.glob("*.log")).open("ab") as file:
        file.write(garbage)
    again = Spool.open(directory)
    assert _drain(again) == [1]
    assert again.pending == 0
    again.close()


def test_a_reconnect_hands_everything_out_again(spool: Spool) -> None:
    spool.event(_event(1))
    assert spool.take() is not None
    spool.send_again()
    assert _drain(spool) == [1]
    spool.event(_event(2))
    spool.send_again()
    assert spool.pending == 1
    assert _drain(spool) == [2]  # the first is known to be stored


def test_segments_go_as_they_are_stored(directory: Path) -> None:
    directory.mkdir()
    spool = Spool(directory, segment_bytes=200)
    for number in range(100):
        spool.event(_event(number))
    assert len(list(directory.iterdir())) > 5
    assert _drain(spool) == list(range(100))
    assert len(list(directory.iterdir())) == 1
    spool.close()
    assert next(directory.iterdir()).stat().st_size == 0


def test_what_is_stored_takes_no_more_room_than_it_is_worth(spool: Spool, directory: Path) -> None:
    for number in range(10_000):
        spool.event(_event(number))
        if number % 1000 == 999:
            assert len(_drain(spool)) == 1000
            assert sum(file.stat().st_size for file in directory.iterdir()) < 100_000


def test_records_written_while_a_batch_is_away_stay(spool: Spool) -> None:
    spool.event(_event(1))
    batch = spool.take()
    assert batch is not None
    spool.event(_event(2))
    spool.stored(batch)
    assert spool.pending == 1
    assert _drain(spool) == [2]


def test_too_much_for_the_spool_is_an_error_that_leaves_what_is_there(directory: Path) -> None:
    directory.mkdir()
    spool = Spool(directory, segment_bytes=100, most_bytes=300)
    written = 0
    with pytest.raises(SpoolError, match="supervisor"):
        for number in range(100):
            spool.event(_event(number))
            written += 1
    assert 0 < written < 100
    assert _drain(spool) == list(range(written))
    spool.event(_event(7))
    assert _drain(spool) == [7]
    spool.close()


def test_a_full_disk_is_an_error_and_no_half_line_stays(spool: Spool) -> None:
    """The limit on a file's size makes write(2) fall short as a full disk does."""
    spool.event(_event(1))
    size = len(_event(1)) + 2
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5, hard))
    try:
        with pytest.raises(SpoolError, match="recorded"):
            spool.event(_event(2))
        spool.outcome(_event(3))
        assert spool.pending == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    spool.event(_event(4))
    assert sorted(_drain(spool)) == [1, 3, 4]


def test_a_spool_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(SpoolError):
        Spool.open(blocked / "spool")


def test_a_killed_process_leaves_every_record_that_it_wrote(directory: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from plugins.base.events.spool import Spool\n"
        "spool = Spool.open(Path(sys.argv[1]))\n"
        "for number in range(10**9):\n"
        "    spool.event(b'{\"id\": %d}' % number)\n"
        "    sys.stdout.write(f'{number}\\n'); sys.stdout.flush()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, directory], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        seen = [int(process.stdout.readline()) for _ in range(200)]
        os.kill(process.pid, signal.SIGKILL)
        seen += [int(line) for line in process.stdout]
    spool = Spool.open(directory)
    ids = _drain(spool)
    assert ids[: len(seen)] == seen
    assert len(ids) <= len(seen) + 1
    spool.close()

from __future__ import annotations

import asyncio

import pytest

from plugins.base.errors import WorkerError
from plugins.base.worker.capture import capture
from tests.plugins.base.workers import (
    Bench,
)


async def test_captured_output_is_limited(bench: Bench) -> None:
    with pytest.raises(WorkerError, match="printed more than 8388608 bytes"):
        await bench.sh("yes")
    with pytest.raises(WorkerError, match="printed more"):
        await bench.sh("yes >&2")
    whole = await bench.sh("head -c 8388608 /dev/zero")
    assert len(whole.stdout) == 8_388_608


async def test_captured_commands_are_limited_in_time(bench: Bench) -> None:
    with pytest.raises(WorkerError, match=r"sleep took longer than 0\.05 s"):
        await capture(bench.worker, ("sleep", "60"), cwd=str(bench.place.workspace), longest=0.05)


async def test_a_daemon_that_holds_the_output_delays_nothing(bench: Bench) -> None:
    answer = await asyncio.wait_for(bench.sh("setsid sleep 60 & echo done"), 30)
    assert answer.stdout == b"done\n"

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from tests.plugins.base.workers import Bench, Line, talking, until


async def test_a_signal_reaches_the_whole_group(bench: Bench) -> None:
    with Line() as line:
        inner = 'trap "echo inner; exit" INT; echo up; while :; do sleep 9; done'
        script = f"trap 'echo outer; exit 3' INT; sh -c '{inner}'; :"
        running = await talking(bench, line, script)
        assert await line.read() == b"up\n"
        running.signal(signal.SIGINT)
        assert (await running.wait()).exit_code == 3
        assert set((await line.read()).split()) == {b"inner", b"outer"}


async def test_a_command_can_be_stopped_and_continued(bench: Bench) -> None:
    running = await bench.start("sleep", "60")
    running.signal(signal.SIGSTOP)
    until(running.pid, "T")
    running.signal(signal.SIGCONT)
    until(running.pid, "S")
    running.kill()
    assert (await running.wait()).signal == signal.SIGTERM


async def test_a_stopped_command_can_be_ended(bench: Bench) -> None:
    running = await bench.start("sleep", "60")
    running.signal(signal.SIGSTOP)
    running.kill()
    assert (await running.wait()).signal == signal.SIGTERM


async def test_a_command_that_ignores_the_end_is_killed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Line() as line:
        running = await talking(bench, line, "trap '' TERM; echo up; while :; do sleep 60; done")
        assert await line.read() == b"up\n"
        before = time.monotonic()
        running.kill()
        ended = await running.wait()
        assert ended.signal == signal.SIGKILL
        assert time.monotonic() - before > 1.9
        assert await line.read() == b""  # its child is gone too


async def test_what_a_command_leaves_in_its_group_ends_with_it(bench: Bench) -> None:
    with Line() as line:
        running = await talking(bench, line, "sleep 60 & echo up")
        assert (await running.wait()).exit_code == 0
        assert await line.read() == b"up\n"
        assert await line.read() == b""


async def test_a_daemon_lives_on_until_the_worker_ends(bench: Bench) -> None:
    with Line() as line:
        running = await talking(
            bench, line, "setsid sh -c 'echo daemon; sleep 60' & wait_for=$!; sleep 0 && wait"
        )
        assert await line.read() == b"daemon\n"
        running.kill()
        await running.wait()
        assert (await bench.run("true")).exit_code == 0
        rest = asyncio.create_task(line.read())
        await asyncio.wait([rest], timeout=0.1)
        assert not rest.done()
        await bench.worker.close()
        assert await rest == b""


async def test_orphans_leave_no_zombies(bench: Bench) -> None:
    children = Path(f"/proc/{bench.worker.pid}/task/{bench.worker.pid}/children")
    await bench.sh("for i in 1 2 3; do setsid true & done")
    while children.read_text():
        os.sched_yield()


async def test_signals_to_what_has_ended_do_nothing(bench: Bench) -> None:
    running = await bench.start("true")
    await running.wait()
    running.signal(signal.SIGTERM)
    running.kill()
    assert (await bench.run("true")).exit_code == 0
    for nonsense in (0, -1, 65):
        with pytest.raises(ValueError, match="not a signal"):
            running.signal(nonsense)


async def test_ignored_signals_are_not_inherited(bench: Bench) -> None:
    script = "from signal import *; print([int(s) for s in valid_signals() if getsignal(s) is SIG_IGN])"
    ignored = f"{[int(signal.SIGPIPE), int(signal.SIGXFSZ)]}\n"  # by Python itself
    assert (await bench.capture("python3", "-c", script)).stdout.decode() == ignored

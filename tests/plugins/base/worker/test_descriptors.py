from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

import pytest

from plugins.base.errors import Denied, ToolMissing
from plugins.base.worker.wire import CHANNEL, CHANNEL_VARIABLE
from tests.plugins.base.workers import (
    Bench,
    Line,
    Place,
    a_worker,
    started,
    stop,
)

OPEN_DESCRIPTORS = """
import fcntl
for number in range(256):
    try:
        fcntl.fcntl(number, fcntl.F_GETFD)
        print(number)
    except OSError:
        pass
"""


async def test_a_command_has_its_three_descriptors_and_no_other(bench: Bench) -> None:
    assert (await bench.capture("python3", "-c", OPEN_DESCRIPTORS)).stdout.split() == [b"0", b"1", b"2"]


async def test_a_channel_is_inherited_at_the_number_that_is_told(bench: Bench) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    send = f"import os, socket; socket.socket(fileno=int(os.environ['{CHANNEL_VARIABLE}'])).send(b'me')"
    tell = f"{OPEN_DESCRIPTORS}\n{send}"
    with Line() as line, ours:
        with theirs:
            running = await started(
            bench.worker,
                ("python3", "-c", tell), cwd=str(bench.place.workspace), environment={},
                fds=(theirs.fileno(), line.theirs, line.theirs), channel=theirs.fileno(),
            )  # fmt: skip
        line.started()
        assert (await running.wait()).exit_code == 0
        assert (await line.read()).split() == [b"0", b"1", b"2", b"%d" % CHANNEL]
        assert ours.recv(10) == b"me"
        assert ours.recv(10) == b""  # no copy of the other end is left anywhere


async def test_the_worker_keeps_no_descriptor(bench: Bench) -> None:
    held = Path(f"/proc/{bench.worker.pid}/fd")
    await bench.run("true")
    before = sorted(os.listdir(held))
    for _ in range(5):
        await bench.sh("cat", stdin=b"x")
        with pytest.raises(ToolMissing):
            await bench.run("no-such-tool")
    assert sorted(os.listdir(held)) == before


async def test_the_server_keeps_no_descriptor(place: Place) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    async with a_worker(place.spec()) as worker:
        bench = Bench(place, worker)
        await asyncio.gather(*(bench.sh("cat", stdin=b"x") for _ in range(8)))
        with pytest.raises(Denied):
            await bench.start("true", cwd=place.outside)
    assert sorted(os.listdir("/proc/self/fd")) == before


async def test_a_caller_that_is_gone_before_its_turn_sends_nobody_else_s_descriptors(bench: Bench) -> None:
    """Commands wait for room on the link with descriptors of their own."""
    long = "x" * 100_000
    stop(bench.worker.pid)
    tasks = [asyncio.create_task(bench.sh("true", *[long] * 9)) for _ in range(4)]
    secret, told = os.pipe2(os.O_CLOEXEC)
    late = asyncio.create_task(
        started(
            bench.worker,
            ("sh", "-c", "echo leak"),
            cwd=str(bench.place.workspace),
            environment={},
            fds=(secret, told, told),
        )
    )
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    late.cancel()
    os.close(told)
    other = os.open(bench.place.outside / "other", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC)
    os.kill(bench.worker.pid, signal.SIGCONT)
    await asyncio.gather(*tasks)
    await asyncio.gather(late, return_exceptions=True)
    await bench.run("true")
    os.close(other)
    os.close(secret)
    assert (bench.place.outside / "other").read_bytes() == b""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys

import pytest

from plugins.base.errors import WorkerError
from plugins.base.worker.link import Worker
from tests.plugins.base.workers import (
    Bench,
    Line,
    Place,
    a_worker,
    stop,
    talking,
)


async def test_close_waits_for_running_commands(bench: Bench) -> None:
    with Line() as line:
        running = await talking(bench, line, "echo up; sleep 0.2; exit 5")
        assert await line.read() == b"up\n"
        await bench.worker.close()
        assert (await running.wait()).exit_code == 5
    with pytest.raises(WorkerError):
        await bench.run("true")
    await bench.worker.close()


async def test_a_lost_worker_is_noticed_and_its_commands_end(bench: Bench) -> None:
    with Line() as line:
        running = await talking(bench, line, "trap '' TERM; echo up; sleep 60 & wait; sleep 60")
        assert await line.read() == b"up\n"
        os.kill(bench.worker.pid, signal.SIGKILL)
        with pytest.raises(WorkerError, match="worker ended"):
            await running.wait()
        assert bench.worker.lost().done()
        assert await line.read() == b""
    with pytest.raises(WorkerError, match="gone"):
        await bench.run("true")
    running.kill()
    bench.worker.kill()
    await bench.worker.close()


async def test_a_worker_lost_while_it_is_asked_is_an_error(bench: Bench) -> None:
    stop(bench.worker.pid)
    asked = asyncio.create_task(bench.run("true"))
    await asyncio.sleep(0)
    os.kill(bench.worker.pid, signal.SIGKILL)
    with pytest.raises(WorkerError, match="gone"):
        await asked


async def test_kill_ends_everything_now(bench: Bench) -> None:
    with Line() as line:
        running = await talking(bench, line, "trap '' TERM; setsid sleep 60 & echo up; sleep 60")
        assert await line.read() == b"up\n"
        bench.worker.kill()
        with pytest.raises(WorkerError):
            await running.wait()
        await bench.worker.lost()
        assert await line.read() == b""


async def test_a_cancelled_caller_leaves_no_command(bench: Bench) -> None:
    with Line() as line:
        stop(bench.worker.pid)
        task = asyncio.create_task(talking(bench, line, "exec sleep 60"))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        os.kill(bench.worker.pid, signal.SIGCONT)
        line.started()
        assert await line.read() == b""
    assert (await bench.run("true")).exit_code == 0


SERVER = """
import asyncio, sys
from plugins.base.worker.link import SandboxSpec, Worker
async def main(workspace, private):
    worker = await Worker.start(SandboxSpec(workspace, private, "/usr/bin:/bin"))
    running = worker.begin(("sleep", "60"), cwd=workspace, environment={}, fds=(0, 1, 2))
    while not running.pid:
        await asyncio.sleep(0.001)
    print(worker.pid, flush=True)
    await worker.lost()
asyncio.run(main(*sys.argv[1:]))
"""


BUSY_SERVER = """
import asyncio, os, sys
from plugins.base.worker.link import SandboxSpec, Worker
from plugins.base.worker.wire import CHANNEL
async def main(workspace, private):
    while os.dup(0) < CHANNEL - 2:  # the next two are the link's
        pass
    worker = await Worker.start(SandboxSpec(workspace, private, "/usr/bin:/bin"))
    running = worker.begin(("true",), cwd=workspace, environment={}, fds=(0, 1, 2))
    print((await running.wait()).exit_code)
    await worker.close()
asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_link_with_the_channels_number_is_a_link_all_the_same(place: Place) -> None:
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", BUSY_SERVER, str(place.workspace), str(place.private),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, _ = await server.communicate()
    assert said == b"0\n"


async def test_a_worker_dies_with_its_server(place: Place) -> None:
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVER, str(place.workspace), str(place.private),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert server.stdout is not None
    pid = int(await server.stdout.readline())
    pidfd = os.pidfd_open(pid)
    server.kill()
    await server.wait()
    await asyncio.to_thread(_wait_for, pidfd)
    os.close(pidfd)
    assert await server.stdout.read() == b""  # the command, which held it, is gone too


def _wait_for(pidfd: int) -> None:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    assert poll.poll(30_000)


async def test_a_sandbox_that_cannot_be_built_is_an_error(place: Place) -> None:
    place.workspace.rmdir()
    with pytest.raises(WorkerError, match="sandbox cannot be entered"):
        await Worker.start(place.spec())


async def test_what_a_command_did_to_its_home_is_set_right(place: Place) -> None:
    async with a_worker(place.spec()) as worker:
        await Bench(place, worker).sh(
            'chmod 0 "$HOME"; mv "$HOME" "$HOME-2"; rm -rf "$TMPDIR"; ln -s / "$TMPDIR"'
        )
    async with a_worker(place.spec()) as worker:
        answer = await Bench(place, worker).sh('cd "$HOME" && touch x && cd "$TMPDIR" && touch y && pwd -P')
    assert answer.stdout == f"{place.private}/tmp\n".encode()


async def test_what_the_process_itself_has_to_say_goes_to_the_log(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/bin/ls")
    with (place.outside / "log").open("wb") as log, pytest.raises(WorkerError, match="ended at once"):
        await Worker.start(place.spec(), log=log.fileno())
    assert b"ls:" in (place.outside / "log").read_bytes()

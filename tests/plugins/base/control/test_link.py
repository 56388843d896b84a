"""The control link: what happens when the supervisor is strange, away, or new."""

from __future__ import annotations

import asyncio
import socket

from plugins.base.serving.connection import Connection
from tests.plugins.base.harness import Box, box_for, plugin_for, plugin_process
from tests.plugins.base.supervisor import WITHIN

POLICY = "plugin: sh\nversion: 1\nrules: {}\n"


async def _next_link(box: Box) -> Connection:
    """A supervisor's place without a supervisor: the next plugin that dials."""
    box.supervisor.path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(box.supervisor.path))
        listener.listen()
        listener.setblocking(False)
        async with asyncio.timeout(WITHIN):
            sock, _ = await asyncio.get_running_loop().sock_accept(listener)
    return Connection(sock)


async def test_a_message_that_is_not_understood_is_passed_over() -> None:
    async with plugin_for("sh", POLICY) as box:
        assert box.supervisor.link is not None
        for data in (b"", b"{}", b"[]", b'{"type":"dance"}', b'{"type":"stored"}', b"\xff"):
            await box.supervisor.link.send(data)
        assert not (await box.supervisor.set_policy(POLICY + "# again\n")).problems
        assert (await box.call("-c", ":")).exit_code == 0


async def test_a_supervisor_that_does_not_welcome_is_asked_again() -> None:
    async with plugin_for("sh", POLICY) as box:
        await box.supervisor.stop()
        for answer in (b'{"type":"lockdown","on":true}', b"nonsense"):
            link = await _next_link(box)
            assert await link.receive() is not None
            await link.send(answer)
            assert await link.receive() is None
            link.close()
        assert (await box.call("-c", ":")).exit_code == 0  # the lockdown came before any welcome
        box.supervisor.path.unlink()
        box.supervisor.start()
        await box.supervisor.recorded("-c", ":", verdict="allowed")


async def test_a_supervisor_that_stores_nothing_gets_everything_again_from_the_next_one() -> None:
    async with plugin_for("sh", POLICY) as box:
        box.supervisor.storing = False
        for number in range(5):
            await box.call("-c", f": {number}")
        await box.supervisor.stop()
        box.supervisor.storing = True
        box.supervisor.start()
        await box.supervisor.until(lambda: len(box.supervisor.outcomes) == 5)
    assert box.supervisor.repeated == 0


async def test_numbers_are_sent_when_they_change() -> None:
    async with plugin_for("sh", POLICY) as box:
        call = await box.start_with_fds("-c", "read line")
        await box.supervisor.until(lambda: box.supervisor.stats.running == 1)
        await call.finish(b"go\n")
        await box.supervisor.until(
            lambda: (box.supervisor.stats.running, box.supervisor.stats.spooled) == (0, 0)
        )
        stats = box.supervisor.stats
    assert (stats.commands, stats.blocked, stats.waiting) == (1, 0, 0)
    assert 0 < stats.p50_ms <= stats.p95_ms


async def test_the_hello_tells_who_it_is() -> None:
    async with box_for("sh", POLICY) as box, plugin_process(box) as process:
        await box.until_healthy()
        hello = box.supervisor.hellos[0]
    assert (hello.plugin, hello.token, hello.pid, hello.policy) == ("sh", "t", process.pid, "")

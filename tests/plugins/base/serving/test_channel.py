"""The channel of a command: hooks that ask, programs for the caller's side, and misuse of both."""

from __future__ import annotations

import array
import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from plugins.base.errors import ProtocolError
from plugins.base.plugin import HookCall
from plugins.base.serving import channel as channel_module
from plugins.base.serving.channel import Channel, Pairs, RunCall, ShimAnswer, Slots, parse_call
from plugins.base.serving.connection import Connection


class Host:
    """A command that lets hooks with an argument "ok" pass."""

    def __init__(self) -> None:
        self.hooks: list[HookCall] = []
        self.written = b"program says hello\n"
        self.arrived = asyncio.Semaphore(0)
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def judge_hook(self, call: HookCall) -> ShimAnswer:
        self.hooks.append(call)
        self.arrived.release()
        await self.go_on.wait()
        return ShimAnswer(0) if "ok" in call.argv else ShimAnswer(1, "refused\n")

    async def run_program(self, call: RunCall, fds: tuple[int, ...]) -> ShimAnswer:
        os.write(fds[1], self.written)
        for fd in fds:
            os.close(fd)
        return ShimAnswer(len(call.argv))


class Shim:
    """What a shim does, in this process."""

    def __init__(self, channel: int) -> None:
        self.channel = channel

    def open(self) -> Connection:
        ours, theirs = socket.socketpair()
        self.send(b"x", [theirs.fileno()])
        theirs.close()
        return Connection(ours)

    def send(self, data: bytes, fds: list[int]) -> None:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        with socket.socket(fileno=os.dup(self.channel)) as sock:
            sock.sendmsg([data], rights)

    async def ask(self, body: Mapping[str, Any] | bytes, fds: tuple[int, ...] = ()) -> dict[str, Any] | None:
        connection = self.open()
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            async with asyncio.timeout(20):
                await connection.send(data, fds)
                frame = await connection.receive()
        except ConnectionError:
            return None
        finally:
            connection.close()
        return None if frame is None else json.loads(frame.data)


HOOK = {"action": "hook", "name": "pre-push", "args": ["ok"], "env": {}, "cwd": "/w", "stdin": ""}
RUN = {"action": "run", "args": ["vi", "file"], "env": {}, "cwd": "/w"}


@asynccontextmanager
async def opened(most: int = 8) -> AsyncIterator[tuple[Host, Shim, Channel]]:
    host = Host()
    channel = Channel(host, Slots(most), Pairs())
    shim = Shim(os.dup(channel.theirs))
    channel.handed_over()
    try:
        yield host, shim, channel
    finally:
        os.close(shim.channel)
        await channel.close()


async def test_a_hook_gets_its_answer() -> None:
    async with opened() as (host, shim, _):
        assert await shim.ask(HOOK) == {"exit_code": 0, "stderr": ""}
        assert await shim.ask({**HOOK, "args": [], "stdin": "a\udcffb"}) == {
            "exit_code": 1,
            "stderr": "refused\n",
        }
    assert host.hooks[0].name == "pre-push"
    assert host.hooks[1].stdin == b"a\xffb"


async def test_a_program_gets_the_shims_descriptors() -> None:
    async with opened() as (host, shim, _):
        reader, writer = os.pipe()
        answer = await shim.ask(RUN, (writer, writer, writer))
        os.close(writer)
        assert answer == {"exit_code": 2, "stderr": ""}
        with os.fdopen(reader, "rb") as output:
            assert output.read() == host.written


async def test_many_can_talk_at_a_time_and_what_is_too_much_is_closed_without_an_answer() -> None:
    async with opened(most=3) as (host, shim, _):
        host.go_on.clear()
        asking = [asyncio.create_task(shim.ask(HOOK)) for _ in range(3)]
        for _ in asking:
            await host.arrived.acquire()
        assert await shim.ask(HOOK) is None
        host.go_on.set()
        assert [await each for each in asking] == [{"exit_code": 0, "stderr": ""}] * 3
        assert await shim.ask(HOOK) == {"exit_code": 0, "stderr": ""}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"[]",
        b'{"a":' * 5000,
        {**HOOK, "action": "exec"},
        {**HOOK, "name": 3},
        {**HOOK, "cwd": "w"},
        {**HOOK, "stdin": ["x"]},
        {**HOOK, "stdin": "\ud800"},
        {**HOOK, "args": None},
        {**RUN, "args": []},
        RUN,  # without descriptors
    ],
)
async def test_what_is_no_call_is_closed_without_an_answer(body: Any) -> None:
    async with opened() as (host, shim, _):
        assert await shim.ask(body) is None
        assert host.hooks == []
        assert await shim.ask(HOOK) == {"exit_code": 0, "stderr": ""}


async def test_a_shim_that_says_nothing_is_dropped_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_module, "_REQUEST_WITHIN", 0.05)
    async with opened() as (_, shim, _):
        connection = shim.open()
        async with asyncio.timeout(20):
            assert await connection.receive() is None
        connection.close()


async def test_junk_on_the_channel_is_closed_and_harms_nobody() -> None:
    async with opened() as (_, shim, _):
        reader, writer = os.pipe()
        shim.send(b"junk", [])
        shim.send(b"x", [writer])
        shim.send(b"x", [writer, writer, writer])
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
            shim.send(b"x", [datagrams.fileno()])
        os.close(writer)
        assert await shim.ask(HOOK) == {"exit_code": 0, "stderr": ""}
        assert os.read(reader, 1) == b""
        os.close(reader)


async def test_the_end_of_the_command_ends_its_conversations() -> None:
    async with opened() as (host, shim, channel):
        host.go_on.clear()
        asking = asyncio.create_task(shim.ask(HOOK))
        await host.arrived.acquire()
        await channel.close()
        assert await asking is None


@pytest.mark.parametrize("call", [{}, {"action": "hook"}, {"action": "run", "args": ["x"]}])
def test_a_call_must_be_whole(call: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        parse_call(call)

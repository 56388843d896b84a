"""Bytes that are not the protocol; callers that are slow, many or gone. Each has one clear end."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from plugins.base.serving import command, judging, server, session
from plugins.base.serving.protocol import header
from tests.plugins.base.harness import Box, plugin_for


def _frame(data: bytes) -> bytes:
    return header(len(data)) + data


def _exec(**fields: Any) -> bytes:
    body = {"action": "exec", "args": [], "cwd": "/", "env": {}, **fields}
    return _frame(json.dumps(body).encode())


HOSTILE = {
    "not JSON": _frame(b"hello"),
    "nothing": _frame(b""),
    "not UTF-8": _frame(b'{"action": "\xff"}'),
    "no object": _frame(b"[]"),
    "nested a thousand deep": _frame(b'{"a":' * 1000 + b"1" + b"}" * 1000),
    "nested a million deep": _frame(b"[" * 1_000_000),
    "not a number": _frame(b'{"action": NaN}'),
    "no action": _frame(b"{}"),
    "unknown action": _frame(b'{"action": "eval"}'),
    "an action of the wrong type": _frame(b'{"action": ["exec"]}'),
    "a signal without a command": _frame(b'{"action": "signal", "signum": 9}'),
    "arguments that are text": _exec(args="rm -rf"),
    "arguments that are numbers": _exec(args=[1]),
    "NUL in an argument": _exec(args=["a\0b"]),
    "a lone surrogate": _exec(args=["\ud800"]),
    "a relative directory": _exec(cwd="w"),
    "NUL in the directory": _exec(cwd="/w\0"),
    "no directory": _frame(b'{"action": "exec", "args": []}'),
    "an environment that is a list": _exec(env=["A=1"]),
    "a variable without a name": _exec(env={"": "x"}),
    "a variable with an equals sign": _exec(env={"A=B": "x"}),
    "NUL in a variable": _exec(env={"A": "\0"}),
    "an umask that is text": _exec(umask="022"),
    "an umask out of range": _exec(umask=0o7777),
    "an umask that is true": _exec(umask=True),
    "descriptors that did not come": _exec(stdio="fds"),
    "another stdio": _exec(stdio="pipe"),
    "a huge length": b"\xff\xff\xff\xff",
    "one byte too many": header(8 * 1024 * 1024 + 1),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
async def test_what_is_not_a_request_gets_an_error_and_runs_nothing(data: bytes) -> None:
    async with plugin_for("sh") as box:
        caller = await box.connect()
        await caller.send_bytes(data)
        answer = await caller.response()
        assert (answer["success"], answer["exit_code"]) == (False, 125)
        assert answer["error"]
        assert await caller.receive() is None
        assert (await box.call("-c", "echo next")).stdout == b"next\n"
        assert box.supervisor.stats.commands <= 1


@pytest.mark.parametrize("cut", [1, 3, 4, 10])
async def test_a_request_that_is_cut_off_is_forgotten(cut: int) -> None:
    async with plugin_for("sh") as box:
        caller = await box.connect()
        await caller.send_bytes(_exec(args=["-c", "touch ran"], cwd=str(box.workspace))[:cut])
        caller.close()
        assert (await box.call("-c", "ls")).stdout == b""


async def test_a_slow_request_is_dropped_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "REQUEST_WITHIN", 0.05)
    async with plugin_for("sh") as box:
        caller = await box.connect()
        await caller.send_bytes(_exec()[:20])
        assert await caller.receive() is None


@pytest.mark.parametrize("count", [1, 2, 4, 60])
async def test_a_wrong_number_of_descriptors_is_an_error_and_none_stays_open(count: int) -> None:
    async with plugin_for("sh") as box:
        await box.call("-c", ":")
        before = await _descriptors_at_rest()
        reader, writer = os.pipe()
        caller = await box.connect()
        await caller.send(box.exec_body("-c", ":", stdio="fds"), [writer] * count)
        os.close(writer)
        assert (await caller.response())["exit_code"] == 125
        assert os.read(reader, 1) == b""  # the plugin closed all of its copies
        os.close(reader)
        caller.close()
        assert await _descriptors_at_rest() == before


async def test_descriptors_that_nobody_asked_for_are_closed() -> None:
    async with plugin_for("sh") as box:
        reader, writer = os.pipe()
        caller = await box.connect()
        await caller.send(box.exec_body("-c", "echo x"), [writer])
        os.close(writer)
        assert (await caller.response())["stdout"] == "x\n"
        assert await asyncio.to_thread(os.read, reader, 1) == b""
        os.close(reader)


async def test_a_second_request_on_a_connection_ends_it() -> None:
    async with plugin_for("sh") as box:
        call = await box.start_with_fds("-c", "echo on; sleep 1000")
        await call.line()
        await call.caller.send(box.exec_body("-c", "touch ran"))
        event = await box.supervisor.recorded("-c", "echo on; sleep 1000", verdict="allowed")
        assert (await box.supervisor.ended(event)).exit_code == 143
        assert not (box.workspace / "ran").exists()
        call.hang_up()


async def test_callers_beyond_the_limit_are_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 8)
    async with plugin_for("sh") as box:
        idle = [await box.connect() for _ in range(8)]
        late = await box.connect()
        answer = await late.response()
        assert answer["exit_code"] == 125
        assert "busy" in answer["stderr"]
        for caller in idle:
            caller.close()
        assert (await _call_until_served(box)).startswith("served")


async def test_commands_beyond_the_limit_wait_for_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "MOST_COMMANDS", 2)
    async with plugin_for("sh") as box:
        running = [await box.start_with_fds("-c", f"echo on; read go; echo {number}") for number in range(2)]
        for call in running:
            await call.line()
        late = asyncio.create_task(box.call("-c", "echo late"))
        assert (await box.health())["success"], "questions about the plugin wait for nothing"
        assert not late.done()
        assert (await running[0].finish(b"go\n")).stdout == b"0\n"
        assert (await late).stdout == b"late\n"
        assert (await running[1].finish(b"go\n")).stdout == b"1\n"


async def test_a_command_that_gets_no_turn_is_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "MOST_COMMANDS", 1)
    monkeypatch.setattr(command, "PLACE_WITHIN", 0.05)
    async with plugin_for("sh") as box:
        running = await box.start_with_fds("-c", "echo on; read go")
        await running.line()
        answer = await box.call("-c", "touch ran")
        assert answer.exit_code == 125
        assert b"busy with 256 commands" in answer.stderr
        await box.supervisor.recorded("-c", "touch ran", verdict="error")
        await running.finish(b"go\n")
        assert (await box.call("-c", "ls")).stdout == b""


async def test_a_caller_that_waits_for_a_turn_can_hang_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "MOST_COMMANDS", 1)
    async with plugin_for("sh") as box:
        running = await box.start_with_fds("-c", "echo on; read go")
        await running.line()
        waiting = await box.start("-c", "touch ran")
        await box.health()  # the request before it is taken by now
        waiting.close()
        await box.supervisor.recorded("-c", "touch ran", verdict="blocked")
        await running.finish(b"go\n")
        assert (await box.call("-c", "ls")).stdout == b""


async def _call_until_served(box: Box) -> str:
    """The places of closed connections are free a moment later."""
    while True:
        answer = await box.call("-c", "echo served")
        if answer.exit_code == 0:
            return answer.stdout.decode()


async def test_hundreds_of_commands_at_once_are_all_right() -> None:
    async with plugin_for("sh") as box:
        answers = await asyncio.gather(*(box.call("-c", f"echo {number}") for number in range(200)))
        assert [answer.stdout for answer in answers] == [f"{number}\n".encode() for number in range(200)]
        await box.supervisor.until(lambda: len(box.supervisor.outcomes) == 200)


async def test_large_requests_wait_for_each_other_and_delay_no_small_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session, "REQUEST_WITHIN", 0.5)
    async with plugin_for("sh") as box:
        slow = [await box.connect() for _ in range(session.MOST_LARGE)]
        for caller in slow:
            await caller.send_bytes(header(session.LARGE + 1))
        late = asyncio.create_task(box.call("-c", "echo $#", *["x" * 100] * 4000))
        assert (await box.call("-c", "echo small")).stdout == b"small\n"
        assert not late.done()
        slow[0].close()
        assert (await late).stdout == b"3999\n"


async def test_a_large_frame_after_the_request_ends_the_command() -> None:
    async with plugin_for("sh") as box:
        call = await box.start_with_fds("-c", "echo on; sleep 1000")
        await call.line()
        await call.caller.send_bytes(header(1 << 20))
        event = await box.supervisor.recorded("-c", "echo on; sleep 1000", verdict="allowed")
        assert (await box.supervisor.ended(event)).exit_code == 143
        call.hang_up()


async def test_a_user_who_is_not_listed_is_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    async with plugin_for("sh") as box:
        monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
        text = "plugin: sh\nversion: 1\nrules: {}\naccess: {allowed_uids: [4000001]}\n"
        await box.supervisor.set_policy(text)
        monkeypatch.undo()
        caller = await box.connect()
        answer = await caller.response()
        assert answer["exit_code"] == 125
        assert "may not use this plugin" in answer["error"]


# ---------------------------------------------------------------- hanging up


async def test_a_caller_that_hangs_up_ends_the_whole_process_group() -> None:
    async with plugin_for("sh") as box:
        call = await box.start_with_fds("-c", "sleep 1000 & echo $!; wait")
        child = int(await call.line())
        call.hang_up()
        event = await box.supervisor.recorded("-c", "sleep 1000 & echo $!; wait", verdict="allowed")
        outcome = await box.supervisor.ended(event)
        assert outcome.exit_code == 143
        await asyncio.to_thread(_wait_until_gone, child)


async def test_descriptors_do_not_pile_up() -> None:
    async with plugin_for("sh") as box:
        await box.call("-c", ":")
        await box.call_with_fds("-c", ":")
        before = await _descriptors_at_rest()
        for number in range(20):
            await box.call("-c", f": {number}")
            await box.call_with_fds("-c", f": {number}")
            call = await box.start_with_fds("-c", f"echo {number}; sleep 1000")
            await call.line()
            call.hang_up()
            event = await box.supervisor.recorded("-c", f"echo {number}; sleep 1000", verdict="allowed")
            await box.supervisor.ended(event)
        assert (await box.call("-c", ":")).exit_code == 0
        await box.supervisor.until(lambda: _open_descriptors() <= before)


async def test_a_caller_that_closes_only_its_sending_side_still_gets_its_answer() -> None:
    async with plugin_for("sh") as box:
        caller = await box.start("-c", "sleep 0.1; echo done")
        caller.socket.shutdown(socket.SHUT_WR)
        assert (await caller.response())["stdout"] == "done\n"


async def test_a_refused_caller_that_does_not_read_stderr_delays_nobody() -> None:
    policy = "plugin: sh\nversion: 1\nrules: {blocked_subcommands: [bad]}\napprovals: {on_block: refuse}\n"
    async with plugin_for("sh", policy) as box:
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        while True:
            try:
                os.write(writer, b"x" * 4096)
            except BlockingIOError:
                break
        os.set_blocking(writer, True)
        caller = await box.connect()
        await caller.send(box.exec_body("bad", stdio="fds"), [writer, writer, writer])
        assert (await box.call("-c", "echo next")).stdout == b"next\n"
        answer = await caller.response()
        assert "blocked" in answer["stderr"]  # what could not be written comes with the response
        os.close(reader)
        os.close(writer)


async def _descriptors_at_rest() -> int:
    """How many are open when all is done that is done after an answer: closing, and making ahead."""
    seen, calm = 0, 0
    while calm < 10:
        await asyncio.sleep(0.005)
        now = _open_descriptors()
        seen, calm = now, calm + 1 if now == seen else 0
    return seen


def _open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def _wait_until_gone(pid: int) -> None:
    while True:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return
        if state == "Z":
            return

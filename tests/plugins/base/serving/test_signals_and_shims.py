"""A running command: signals from its caller, its hooks, and programs handed to the caller's side."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from plugins.base.model import Layer, Operation
from plugins.base.plugin import HookCall, Plugin, Runner
from plugins.base.policy import Policy
from plugins.base.serving.deadline import Deadline
from supervisor.assets import client_binary
from tests.plugins.base.harness import Box, plugin_for

POLICY = """\
plugin: sh
version: 1
rules: {blocked_subcommands: [bad]}
approvals: {on_block: refuse}
"""
HOLD = POLICY.replace("on_block: refuse", "never: []") + "limits: {timeout_seconds: 0.4}\n"
TRAP = "trap 'echo got-int' INT; trap 'echo got-hup; exit 5' HUP; echo on; while :; do sleep 0.01; done"
needs_client = pytest.mark.skipif(client_binary() is None, reason="needs a C compiler and make")


class WithHooks(Plugin):
    """Any tool, whose hooks are judged by their arguments."""

    def readable_paths(self, policy: Policy) -> tuple[str, ...]:
        return (str(Path(self.config.client).parent),)

    async def inspect_hook(
        self, call: HookCall, operation: Operation, policy: Policy, run: Runner
    ) -> Operation:
        return Operation(self.tool, Layer.HOOK, call.argv, call.cwd)


@asynccontextmanager
async def shell(policy: str = POLICY) -> AsyncIterator[Box]:
    async with plugin_for("sh", policy, plugin=WithHooks) as box:
        yield box


def _hook(box: Box, argument: str) -> str:
    return f"{box.config.client} --hook check {argument} </dev/null && echo passed"


# ---------------------------------------------------------------- signals


async def test_signals_reach_the_tool() -> None:
    async with shell() as box:
        call = await box.start_with_fds("-c", TRAP)
        assert await call.line() == b"on\n"
        await call.caller.send({"action": "signal", "signum": signal.SIGINT})
        assert await call.line() == b"got-int\n"
        await call.caller.send({"action": "signal", "signum": signal.SIGHUP})
        answer = await call.finish()
    assert (answer.stdout, answer.exit_code) == (b"got-hup\n", 5)


async def test_a_stopped_tool_can_be_continued_and_killed() -> None:
    async with shell() as box:
        call = await box.start_with_fds("-c", TRAP)
        await call.line()
        for signum in (signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH, signal.SIGINT):
            await call.caller.send({"action": "signal", "signum": signum})
        assert await call.line() == b"got-int\n"
        await call.caller.send({"action": "signal", "signum": signal.SIGKILL})
        answer = await call.finish()
    assert (answer.exit_code, answer.body["signal"]) == (137, 9)


async def test_signals_that_are_none_of_the_callers_business_are_not_sent() -> None:
    async with shell() as box:
        call = await box.start_with_fds("-c", TRAP)
        await call.line()
        for signum in (signal.SIGSTOP, signal.SIGSEGV, signal.SIGABRT, signal.SIGALRM, 64):
            await call.caller.send({"action": "signal", "signum": signum})
        await call.caller.send({"action": "signal", "signum": signal.SIGHUP})
        assert (await call.finish()).exit_code == 5


# ---------------------------------------------------------------- hooks


@needs_client
@pytest.mark.parametrize(("argument", "exit_code"), [("good", 0), ("bad", 1)])
async def test_a_hook_is_judged_and_recorded_under_its_command(argument: str, exit_code: int) -> None:
    async with shell() as box:
        answer = await box.call_with_fds("-c", _hook(box, argument))
        await box.supervisor.until(lambda: len(box.supervisor.events) == 2)
        command, hook = box.supervisor.events.values()
    assert answer.exit_code == exit_code
    assert (b"passed" in answer.stdout) is (argument == "good")
    assert (b"`sh bad` is blocked" in answer.stderr) is (argument == "bad")
    assert (command.layer, hook.layer) == ("argv", "hook")
    assert command.command == hook.command
    assert hook.verdict == ("allowed" if argument == "good" else "blocked")


@needs_client
async def test_a_hook_of_a_tool_without_hooks_is_a_no() -> None:
    class Deaf(WithHooks):
        inspect_hook = Plugin.inspect_hook

    async with plugin_for("sh", POLICY, plugin=Deaf) as box:
        answer = await box.call_with_fds("-c", _hook(box, "good"))
    assert answer.exit_code == 1
    assert b"sh has no hook check" in answer.stderr


@needs_client
async def test_a_hook_in_a_lockdown_is_a_no() -> None:
    async with shell() as box:
        call = await box.start_with_fds("-c", f"read line; {_hook(box, 'good')}")
        await box.supervisor.recorded("-c", f"read line; {_hook(box, 'good')}", verdict="allowed")
        await box.supervisor.lockdown(True, "stop")
        answer = await call.finish(b"go\n")
    assert answer.exit_code == 1
    assert b"Locked down" in answer.stderr


@needs_client
async def test_a_hook_waits_for_the_operator_and_the_wait_does_not_count_as_the_commands_time() -> None:
    async with shell(HOLD) as box:
        call = await box.start_with_fds("-c", _hook(box, "bad"))
        ask = await box.supervisor.next_ask()
        await box.supervisor.answer(ask, "waiting", "r3")
        assert b"waiting for the operator, request r3" in await call.error_line()
        await asyncio.sleep(0.5)  # longer than the command itself may run
        await box.supervisor.answer(ask, "approved", "r3")
        answer = await call.finish()
        await box.supervisor.recorded("-c", _hook(box, "bad"), verdict="approved")
    assert (ask.layer, answer.exit_code, answer.stdout) == ("hook", 0, b"passed\n")


@needs_client
async def test_a_caller_that_hangs_up_while_a_hook_waits_is_forgotten() -> None:
    async with shell(HOLD) as box:
        call = await box.start_with_fds("-c", _hook(box, "bad"))
        ask = await box.supervisor.next_ask()
        await box.supervisor.answer(ask, "waiting", "r3")
        await call.error_line()
        call.hang_up()
        await box.supervisor.until(lambda: box.supervisor.forgotten == [ask.ask])
        await box.supervisor.until(lambda: box.supervisor.outcomes)


# ---------------------------------------------------------------- programs on the caller's side


@needs_client
async def test_a_program_runs_where_the_caller_is_with_the_callers_environment() -> None:
    async with shell() as box:
        script = f"GIT_DIR=.git {box.config.client} --run editor 'a file'; echo $?"
        call = await box.start_with_fds("-c", script, env={"HOME": "/home/agent", "MY": "own"})
        frame, fds = await call.caller.receive_with_fds()
        assert frame is not None
        assert (frame["action"], frame["args"], frame["cwd"]) == (
            "run",
            ["editor", "a file"],
            str(box.workspace),
        )
        assert frame["env"] == {"HOME": "/home/agent", "MY": "own", "GIT_DIR": ".git"}
        assert len(fds) == 3
        os.write(fds[1], b"typed\n")
        for fd in fds:
            os.close(fd)
        await call.caller.send({"action": "ran", "run": 77, "exit_code": 0})  # means nothing
        await call.caller.send({"action": "ran", "run": frame["run"], "exit_code": 9})
        answer = await call.finish()
    assert answer.stdout == b"typed\n9\n"


@needs_client
async def test_a_caller_that_hangs_up_while_its_program_runs_ends_the_command() -> None:
    async with shell() as box:
        script = f"{box.config.client} --run editor; sleep 1000"
        call = await box.start_with_fds("-c", script)
        assert await call.caller.receive() is not None
        call.hang_up()
        event = await box.supervisor.recorded("-c", script, verdict="allowed")
        assert (await box.supervisor.ended(event)).exit_code == 143


@needs_client
async def test_a_buffered_caller_can_run_nothing() -> None:
    async with shell() as box:
        answer = await box.call("-c", f"{box.config.client} --run editor; echo $?")
    assert answer.stdout == b"1\n"
    assert b"cannot be run for this caller" in answer.stderr


# ---------------------------------------------------------------- the time limit


async def test_a_deadline_stands_still_while_it_is_paused() -> None:
    passed = asyncio.Event()
    deadline = Deadline(0.02, passed.set)
    with deadline.paused(), deadline.paused():
        await asyncio.sleep(0.05)
        assert not passed.is_set()
    async with asyncio.timeout(10):
        await passed.wait()


async def test_a_deadline_that_ended_does_not_pass() -> None:
    passed = asyncio.Event()
    deadline = Deadline(0.01, passed.set)
    with deadline.paused():
        deadline.end()
    await asyncio.sleep(0.03)
    assert not passed.is_set()

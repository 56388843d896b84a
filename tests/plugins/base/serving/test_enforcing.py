"""The policy, the lockdown and the worker: what is in force at each moment, and across restarts."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from pathlib import Path

import pytest

from plugins.base.control import SetPolicy, StartConfig
from plugins.base.errors import ClaudeContainerError
from plugins.base.events.spool import Spool, SpoolError
from plugins.base.main import read_config
from plugins.base.plugin import Plugin
from plugins.base.policy import Policy, policy_hash
from tests.plugins.base.harness import POLICY, Answer, box_for, plugin_for, plugin_process

OPEN = POLICY.format(tool="sh")
CLOSED = "plugin: sh\nversion: 1\nrules: {allowed_subcommands: []}\napprovals: {on_block: refuse}\n"
BROKEN = "plugin: sh\nversion: 1\nrulez: {}\n"


async def test_a_new_policy_counts_for_the_next_command() -> None:
    async with plugin_for("sh", OPEN) as box:
        assert (await box.call("-c", ":")).exit_code == 0
        applied = await box.supervisor.set_policy(CLOSED)
        assert applied.policy == policy_hash(CLOSED)
        assert (await box.call("-c", ":")).exit_code == 1
        await box.supervisor.set_policy(OPEN)
        assert (await box.call("-c", ":")).exit_code == 0


@pytest.mark.parametrize(
    "text",
    ["", BROKEN, "\0", "plugin: git\nversion: 1\nrules: {}\n", "[" * 100_000],
    ids=["empty", "misspelled", "binary", "another tool's", "deep"],
)
async def test_a_bad_policy_changes_nothing_and_says_why(text: str) -> None:
    async with plugin_for("sh", CLOSED) as box:
        applied = await box.supervisor.set_policy(text)
        assert applied.policy == policy_hash(text)
        assert applied.problems
        assert (await box.call("-c", ":")).exit_code == 1


async def test_a_text_that_does_not_fit_its_hash_is_refused() -> None:
    async with plugin_for("sh", CLOSED) as box:
        seen = len(box.supervisor.applied)
        await box.supervisor.send(SetPolicy(policy="0" * 64, text=OPEN))
        await box.supervisor.until(lambda: len(box.supervisor.applied) > seen)
        assert box.supervisor.applied[-1].problems
        assert (await box.call("-c", ":")).exit_code == 1


async def test_without_any_policy_everything_is_refused() -> None:
    async with box_for("sh", None) as box, plugin_process(box):
        await box.supervisor.until(lambda: box.supervisor.ready)
        answer = await box.call("-c", "touch ran")
        health = await box.health()
        await box.supervisor.recorded("-c", "touch ran", verdict="error")
        assert not (box.workspace / "ran").exists()
    assert answer.exit_code == 1
    assert b"no valid policy" in answer.stderr
    assert health["success"] is False
    assert box.supervisor.hellos[-1].policy == ""


async def test_a_command_is_judged_by_one_policy_while_policies_change_under_load() -> None:
    """Every answer fits the policy that its event names."""
    async with plugin_for("sh", OPEN) as box:
        done = asyncio.Event()

        async def load() -> list[Answer]:
            answers = []
            while not done.is_set():
                answers.append(await box.call("-c", "echo ran"))
            return answers

        loads = [asyncio.create_task(load()) for _ in range(4)]
        for _ in range(10):
            await box.supervisor.set_policy(CLOSED)
            await box.supervisor.set_policy(OPEN)
        done.set()
        answers = [answer for each in await asyncio.gather(*loads) for answer in each]
        await box.supervisor.until(lambda: len(box.supervisor.events) == len(answers))
    for event in box.supervisor.events.values():
        assert event.verdict == ("allowed" if event.policy == policy_hash(OPEN) else "blocked")
    assert {answer.exit_code for answer in answers} <= {0, 1}


async def test_the_sockets_permissions_follow_the_policy() -> None:
    async with plugin_for("sh", OPEN) as box:
        path = Path(box.config.socket)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        await box.supervisor.set_policy(OPEN + "access: {socket_permissions: 0600}\n")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


async def test_a_lockdown_refuses_everything_until_it_ends() -> None:
    async with plugin_for("sh", OPEN) as box:
        await box.supervisor.lockdown(True, "going home")
        answer = await box.call("-c", "touch ran")
        event = await box.supervisor.recorded("-c", "touch ran", verdict="blocked")
        assert not (box.workspace / "ran").exists()
        await box.supervisor.lockdown(False)
        assert (await box.call("-c", "touch ran")).exit_code == 0
    assert answer.stderr.startswith(b"error: Locked down by the operator: going home\n")
    assert event.rule == "lockdown"


# ---------------------------------------------------------------- the worker


class Reader(Plugin):
    """Opens one more directory for the worker when the policy lets `extra` run."""

    def __init__(self, config: StartConfig) -> None:
        super().__init__(config)
        self.extra = f"{config.workspace}-extra"

    def readable_paths(self, policy: Policy) -> tuple[str, ...]:
        return (self.extra,) if policy.rules.blocked_subcommands else ()


async def test_a_policy_that_changes_the_sandbox_brings_a_new_worker_and_lets_the_old_one_finish() -> None:
    async with plugin_for("sh", OPEN, plugin=Reader) as box:
        extra = Path(f"{box.config.workspace}-extra")
        extra.mkdir()
        (extra / "file").write_text("inside")
        before = await box.start_with_fds("-c", f"read line; echo $line; cat {extra}/file")
        await box.supervisor.set_policy(OPEN.replace("{}", "{blocked_subcommands: [x]}"))
        assert (await box.call("-c", f"cat {extra}/file")).stdout == b"inside"
        old = await before.finish(b"still here\n")
    assert old.stdout == b"still here\n"  # and nothing of the file that its sandbox does not show
    assert old.exit_code != 0
    assert len(box.supervisor.ready) == 2


async def test_a_worker_that_is_killed_is_replaced() -> None:
    async with plugin_for("sh") as box:
        call = await box.start_with_fds("-c", "echo $PPID; sleep 1000")
        worker = int(await call.line())
        os.kill(worker, signal.SIGKILL)
        answer = await call.finish()
        assert answer.exit_code == 125
        assert b"worker" in answer.stderr
        await box.supervisor.until(lambda: len(box.supervisor.ready) >= 3)
        assert box.supervisor.ready[-1].problem == ""
        assert box.supervisor.ready[1].problem != ""
        assert (await box.call("-c", "echo again")).stdout == b"again\n"


# ---------------------------------------------------------------- across restarts


async def test_a_restarted_plugin_enforces_the_last_good_policy_without_being_told() -> None:
    async with box_for("sh", CLOSED) as box:
        async with plugin_process(box):
            await box.until_healthy()
        box.supervisor.on_hello = lambda _: []
        async with plugin_process(box):
            await box.supervisor.until(lambda: box.supervisor.ready)
            answer = await box.call("-c", ":")
    assert box.supervisor.hellos[-1].policy == policy_hash(CLOSED)
    assert answer.exit_code == 1
    assert b"allowed_subcommands" in answer.stderr


async def test_a_killed_plugin_loses_no_event_and_doubles_none() -> None:
    async with box_for("sh", OPEN) as box:
        box.supervisor.storing = False
        async with plugin_process(box) as process:
            await box.until_healthy()
            for number in range(20):
                await box.call("-c", f": {number}")
            process.kill()
            await process.wait()
        box.supervisor.storing = True
        async with plugin_process(box):
            await box.supervisor.until(lambda: len(box.supervisor.outcomes) == 20)
            assert (await box.call("-c", ": last")).exit_code == 0
            await box.supervisor.recorded("-c", ": last", verdict="allowed")
    ran = [event.args[1] for event in box.supervisor.events.values()]
    assert ran == [*(f": {number}" for number in range(20)), ": last"]
    assert box.supervisor.repeated == 0


async def test_events_are_kept_while_the_supervisor_is_away_and_sent_when_it_is_back() -> None:
    async with plugin_for("sh", OPEN) as box:
        await box.supervisor.stop()
        for number in range(20):
            assert (await box.call("-c", f": {number}")).exit_code == 0
        box.supervisor.start()
        await box.supervisor.until(lambda: len(box.supervisor.outcomes) == 20)
        assert box.supervisor.hellos[-1].policy == policy_hash(OPEN)
        assert box.supervisor.repeated == 0


async def test_a_second_plugin_on_the_same_state_is_refused() -> None:
    async with box_for("sh", OPEN) as box, plugin_process(box):
        await box.until_healthy()
        async with plugin_process(box) as second:
            assert await second.wait() == 1
        assert (await box.call("-c", ":")).exit_code == 0


async def test_a_socket_left_over_is_replaced_and_a_stranger_in_its_place_is_not() -> None:
    async with box_for("sh", OPEN) as box:
        path = Path(box.config.socket)
        async with plugin_process(box) as process:
            await box.until_healthy()
            process.kill()
        assert path.exists()
        async with plugin_process(box) as process:
            await box.until_healthy()
            assert (await box.call("-c", ":")).exit_code == 0
            process.terminate()
            assert await process.wait() == 0
        assert not path.exists()
        path.write_text("precious")
        async with plugin_process(box) as process:
            assert await process.wait() == 1
        assert path.read_text() == "precious"


async def test_a_socket_directory_that_is_a_symlink_is_refused() -> None:
    async with box_for("sh", OPEN) as box:
        directory = Path(box.config.socket).parent
        directory.rmdir()
        (box.root / "elsewhere").mkdir()
        directory.symlink_to(box.root / "elsewhere")
        async with plugin_process(box) as process:
            assert await process.wait() == 1


async def test_a_stop_ends_commands_and_hands_over_the_last_events() -> None:
    async with box_for("sh", OPEN) as box, plugin_process(box) as process:
        await box.until_healthy()
        call = await box.start_with_fds("-c", "echo on; sleep 1000")
        await call.line()
        await box.supervisor.stop_plugin()
        assert await process.wait() == 0
        assert len(box.supervisor.outcomes) == 1
        call.hang_up()


@pytest.mark.parametrize("text", ["{}", "not json", '{"plugin": 1}'])
async def test_a_start_file_that_is_none_is_one_clear_error(text: str, tmp_path: Path) -> None:
    start = tmp_path / "START.json"
    start.write_text(text)
    with pytest.raises(ClaudeContainerError, match="not a start file"):
        read_config(start)


async def test_a_decision_that_cannot_be_recorded_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    async with plugin_for("sh", OPEN) as box:

        def full(*_: object) -> None:
            raise SpoolError("The decision cannot be recorded: the disk is full.")

        monkeypatch.setattr(Spool, "_append", full)
        answer = await box.call("-c", "touch ran")
        monkeypatch.undo()
        assert not (box.workspace / "ran").exists()
        assert (answer.exit_code, answer.stderr) == (
            125,
            b"error: The decision cannot be recorded: the disk is full.\n",
        )
        assert (await box.call("-c", "touch ran")).exit_code == 0

"""Commands through a real socket: what runs, what is refused, and what both leave behind."""

from __future__ import annotations

import json
import os

import pytest

from tests.plugins.base.harness import Box, plugin_for

BLOCKED = """\
plugin: {tool}
version: 1
rules:
  blocked_subcommands: [bad]
approvals: {{on_block: refuse}}
"""


async def test_a_command_reads_and_writes_the_callers_own_descriptors() -> None:
    async with plugin_for("sh") as box:
        answer = await box.call_with_fds("-c", "cat; echo err >&2; exit 3", stdin=b"\x00\xffbinary")
    assert (answer.stdout, answer.stderr, answer.exit_code) == (b"\x00\xffbinary", b"err\n", 3)
    assert answer.body == {"success": False, "exit_code": 3, "stdout": "", "stderr": "", "error": None}


async def test_a_caller_without_descriptors_gets_everything_in_one_answer() -> None:
    async with plugin_for("sh") as box:
        answer = await box.call("-c", "cat; printf 'o\\377'; echo e >&2")
    assert (answer.stdout, answer.stderr, answer.exit_code) == (b"o\xff", b"e\n", 0)
    assert "truncated" not in answer.body


async def test_output_beyond_the_limit_is_cut_and_said_to_be() -> None:
    policy = "plugin: sh\nversion: 1\nrules: {}\nlimits: {max_output_bytes: 2000}\n"
    async with plugin_for("sh", policy) as box:
        answer = await box.call("-c", "head -c 300000 /dev/zero; echo end >&2")
    assert answer.body["truncated"] is True
    assert (answer.stdout, answer.stderr, answer.exit_code) == (b"\0" * 2000, b"end\n", 0)


async def test_the_largest_answer_still_fits_into_a_frame() -> None:
    policy = "plugin: sh\nversion: 1\nrules: {}\nlimits: {max_output_bytes: 8388608}\n"
    async with plugin_for("sh", policy) as box:
        answer = await box.call("-c", "head -c 9000000 /dev/zero; head -c 9000000 /dev/zero >&2")
    assert answer.body["truncated"] is True
    assert answer.exit_code == 0
    assert len(answer.stdout) > 500_000


async def test_a_decision_and_its_outcome_are_recorded() -> None:
    async with plugin_for("sh") as box:
        await box.call("-c", "exit 7")
        event = await box.supervisor.recorded("-c", "exit 7", verdict="allowed")
        outcome = await box.supervisor.ended(event)
    assert (event.plugin, event.layer, event.cwd) == ("sh", "argv", str(box.workspace))
    assert event.caller == f"uid={os.getuid()} pid={os.getpid()}"
    assert event.policy == box.supervisor.applied[-1].policy
    assert outcome.exit_code == 7
    assert outcome.duration_ms > 0


async def test_an_outcome_is_not_lost_when_the_plugin_stops_as_soon_as_the_caller_has_its_answer() -> None:
    async with plugin_for("sh") as box:
        await box.call_with_fds("-c", "exit 7")
    assert [outcome.exit_code for outcome in box.supervisor.outcomes.values()] == [7]


async def test_a_blocked_command_does_not_run_and_says_why() -> None:
    async with plugin_for("touch", BLOCKED.format(tool="touch")) as box:
        answer = await box.call_with_fds("bad")
        event = await box.supervisor.recorded("bad", verdict="blocked")
    assert answer.exit_code == 1
    assert answer.stderr.startswith(b"error: `touch bad` is blocked.\nrule: blocked_subcommands")
    assert answer.body["stderr"] == ""
    assert "blocked" in answer.body["error"]
    assert not (box.workspace / "bad").exists()
    assert (event.rule, event.rule_line) == ("blocked_subcommands", 4)


async def test_a_buffered_caller_reads_the_refusal_in_the_answer() -> None:
    async with plugin_for("touch", BLOCKED.format(tool="touch")) as box:
        answer = await box.call("bad")
    assert answer.stderr.startswith(b"error: `touch bad` is blocked.")


async def test_arguments_and_environment_may_be_any_bytes() -> None:
    async with plugin_for("sh") as box:
        answer = await box.call("-c", 'printf %s "$1$GIT_X"', "sh", "a\udcffb", env={"GIT_X": "\udcfe"})
    assert answer.stdout == b"a\xffb\xfe"


async def test_the_environment_is_filtered_and_the_umask_travels() -> None:
    async with plugin_for("sh") as box:
        answer = await box.call(
            "-c", "env; umask", env={"LANG": "C", "LD_PRELOAD": "/x", "CLAUDE_X": "1"}, umask=0o027
        )
    lines = answer.stdout.decode().splitlines()
    assert "LANG=C" in lines
    assert not any(line.startswith(("LD_PRELOAD", "CLAUDE_X=")) for line in lines)
    assert lines[-1].endswith("027")


async def test_secrets_in_arguments_are_not_recorded() -> None:
    secret = "gh" + "p_" + "x1" * 20
    async with plugin_for("echo") as box:
        await box.call("--token", secret, f"https://u:{secret}@host/")
        event = await box.supervisor.recorded(
            "--token", "[redacted]", "https://[redacted]@host/", verdict="allowed"
        )
    assert secret not in event.model_dump_json()


async def test_a_long_command_line_is_recorded_in_part() -> None:
    async with plugin_for("echo") as box:
        answer = await box.call(*(f"argument-{number}" for number in range(20_000)))
        await box.supervisor.until(lambda: box.supervisor.events)
    assert answer.exit_code == 0
    event = next(iter(box.supervisor.events.values()))
    assert sum(map(len, event.args)) < 5000
    assert event.args[-1].endswith("more")


async def test_a_tool_that_ends_by_a_signal_says_by_which() -> None:
    async with plugin_for("sh") as box:
        answer = await box.call("-c", "kill -9 $$")
    assert (answer.exit_code, answer.body["signal"]) == (137, 9)


async def test_a_tool_that_is_not_installed_is_127_and_the_supervisor_knows() -> None:
    async with plugin_for("no-such-tool") as box:
        answer = await box.call_with_fds()
        health = await box.health()
        await box.supervisor.recorded(verdict="error")
    assert answer.exit_code == 127
    assert b"no-such-tool" in answer.stderr
    assert (health["success"], health["exit_code"]) == (False, 1)
    assert "no-such-tool" in box.supervisor.ready[-1].problem


@pytest.mark.parametrize("place", ["/", "/tmp", "{w}/../", "{w}/missing", "{w}/link"])
async def test_a_directory_outside_the_workspace_is_refused(place: str) -> None:
    async with plugin_for("touch") as box:
        (box.workspace / "link").symlink_to("/tmp")
        answer = await box.call("made-by-test", cwd=place.format(w=box.workspace))
        await box.supervisor.recorded("made-by-test", verdict="error")
    assert answer.exit_code == 1
    assert answer.stderr.startswith(b"error: ")


async def test_too_long_a_command_is_ended() -> None:
    policy = "plugin: sh\nversion: 1\nrules: {}\nlimits: {timeout_seconds: 0.2}\n"
    async with plugin_for("sh", policy) as box:
        answer = await box.call_with_fds("-c", "echo started; sleep 1000")
        event = await box.supervisor.recorded("-c", "echo started; sleep 1000", verdict="allowed")
        outcome = await box.supervisor.ended(event)
    assert answer.stdout == b"started\n"
    assert (answer.exit_code, outcome.exit_code) == (124, 124)
    assert answer.stderr.startswith(b"error: It ran longer than 0.2 s")


async def test_health_and_capabilities_tell_about_the_plugin() -> None:
    async with plugin_for("sh") as box:
        health = await box.health()
        caller = await box.connect()
        await caller.send({"action": "capabilities"})
        capabilities = json.loads((await caller.response())["stdout"])
    assert (health["success"], health["stdout"]) == (True, "ok\n")
    assert capabilities["tool"] == "sh"
    assert capabilities["protocol"] == 1
    assert {"fds", "signal", "run", "hook"} <= set(capabilities["features"])


async def _many(box: Box, number: int) -> None:
    answer = await box.call_with_fds("-c", f"cat; echo {number}", stdin=b"in ")
    assert (answer.stdout, answer.exit_code) == (f"in {number}\n".encode(), 0)

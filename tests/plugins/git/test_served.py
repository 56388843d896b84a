"""The whole way, as an agent and its operator live it: wrapper, server, sandboxed worker, hooks, upstream."""

from __future__ import annotations

import asyncio
import os
import pty

import pytest

from plugins.base.control import Answer, Ask
from tests.plugins.base.supervisor import WITHIN
from tests.plugins.git.box import DEFAULT_POLICY, native
from tests.plugins.git.served import served
from tests.plugins.git.test_hooks import own_hook


def refusing() -> str:
    return DEFAULT_POLICY.read_text().replace("on_block: hold", "on_block: refuse")


async def test_a_days_work_goes_through() -> None:
    async with served() as here:
        for arguments in (
            ("switch", "-q", "-c", "claude/topic"),
            ("status", "--short"),
            ("log", "--oneline"),
        ):
            assert (await here.git(*arguments)).exit_code == 0
        await here.commit("a.txt")
        pushed = await here.git("push", "-q", "-u", "origin", "claude/topic")
        assert pushed.exit_code == 0, pushed.stderr.decode()
        assert here.upstream_has("claude/topic") == native("rev-parse", "HEAD", cwd=here.project)
        for arguments in (("fetch", "origin"), ("pull", "--rebase", "origin", "main"), ("remote", "-v")):
            done = await here.git(*arguments)
            assert done.exit_code == 0, done.stderr.decode()
        assert here.box.supervisor.asks == []


async def test_a_refused_push_looks_as_a_servers_refusal_and_changes_nothing() -> None:
    async with served(refusing()) as here:
        await here.commit("a.txt")
        before = here.upstream_has("main")
        for arguments in (("push", "origin", "main"), ("push", "--no-verify"), ("-c", "alias.p=push", "p")):
            done = await here.git(*arguments)
            text = done.stderr.decode()
            assert done.exit_code == 1
            assert " ! [remote rejected] main -> main (protected branch)" in text
            assert f"error: failed to push some refs to '{here.upstream}'" in text
            assert "rule: blocked_branches (git.yaml:" in text
            hint = text.partition("new branch: ")[2] or text.partition("your own: ")[2]
            assert hint.startswith("git push origin HEAD:refs/heads/claude/main")
        assert here.upstream_has("main") == before
        assert (await here.git(*hint.split()[1:])).exit_code == 0
        assert here.upstream_has("claude/main")


async def test_a_push_only_the_hook_can_know_is_refused_there() -> None:
    async with served(refusing()) as here:
        await here.commit("a.txt")
        before = here.upstream_has("main")
        native(
            "config", "alias.ship", '!git push origin "HEAD:$(git branch --show-current)"', cwd=here.project
        )
        for arguments in (("ship",), ("push", "--all"), ("push", "origin", ":")):
            done = await here.git(*arguments)
            assert done.exit_code != 0
            assert b" ! [remote rejected] main -> main (protected branch)" in done.stderr
            assert done.stderr.count(b"failed to push some refs") == 1
        assert here.upstream_has("main") == before


async def test_the_operator_is_asked_with_the_facts_and_a_yes_lets_the_push_through() -> None:
    async with served() as here:
        here.box.supervisor.on_ask = lambda ask: [
            Answer(ask=ask.ask, outcome="waiting", request="r1"),
            Answer(ask=ask.ask, outcome="approved", request="r1"),
        ]
        await here.commit("a.txt", message="Add the thing\n")
        done = await here.git("push", "origin", "main")
        assert done.exit_code == 0, done.stderr.decode()
        (ask,) = here.box.supervisor.asks
        (update,) = ask.updates
        assert (update.ref, update.fast_forward) == ("refs/heads/main", True)
        assert here.upstream_has("main") == update.new
        assert ask.remote == str(here.upstream)
        assert "Add the thing" in ask.details
        assert "a.txt" in ask.details
        assert "+x" in ask.details


async def test_a_no_with_a_reason_reaches_the_agent() -> None:
    async with served() as here:
        here.box.supervisor.on_ask = lambda ask: [
            Answer(ask=ask.ask, outcome="denied", request="r7", reason="not on a Friday")
        ]
        done = await here.git("push", "origin", "--delete", "claude/old")
        assert done.exit_code != 0
        text = done.stderr.decode()
        assert "not on a Friday" in text
        assert "request: r7" in text
        assert " ! [remote rejected] claude/old -> claude/old (deletion prohibited)" in text
        assert here.upstream_has("claude/old")


async def test_a_rewrite_shows_what_would_be_lost() -> None:
    asked: list[Ask] = []

    def ask(question: Ask) -> list[Answer]:
        asked.append(question)
        return [Answer(ask=question.ask, outcome="later", request="r2")]

    async with served() as here:
        here.box.supervisor.on_ask = ask
        native("commit", "-q", "--amend", "--allow-empty", "-m", "Another history", cwd=here.project)
        done = await here.git("push", "--force", "origin", "HEAD:claude/old")
        assert done.exit_code != 0
        assert "would be LOST" in asked[0].details
        assert "First" in asked[0].details
        assert asked[0].updates[0].fast_forward is False


async def test_what_is_not_a_push_is_one_error_line() -> None:
    async with served() as here:
        done = await here.git("config", "--global", "user.name", "root")
        lines = done.stderr.decode().splitlines()
        assert done.exit_code == 1
        assert lines[0] == "error: `git config --global` is blocked."
        assert [line.partition(":")[0] for line in lines] == ["error", "rule", "hint"]
        hint = lines[2].partition("alone: ")[2]
        assert hint == "git config user.name root"
        assert (await here.git(*hint.split()[1:])).exit_code == 0


async def test_commits_are_checked_and_own_hooks_and_editors_run_at_the_agents_side() -> None:
    text = refusing().replace("# forbidden_paths:", "forbidden_paths:")
    text = text.replace("# commit_message_pattern:", "commit_message_pattern:")
    async with served(text) as here:
        (here.project / "key.pem").write_text("x\n")
        await here.git("add", "key.pem")
        done = await here.git("commit", "--no-verify", "-m", "Add the private key")
        assert b"error: key.pem may not be committed (*.pem)." in done.stderr
        assert (await here.git("rm", "--cached", "--force", "--", "key.pem")).exit_code == 0

        outside = here.box.root / "outside"  # the worker cannot write there; the agent's side can
        own_hook(here.project / ".git" / "hooks", "pre-commit", f"echo hook >>{outside}")
        own_hook(here.box.root, "editor", f'echo "Edit a good subject" >"$1"; echo editor >>{outside}')
        (here.project / "b.txt").write_text("x\n")
        await here.git("add", "b.txt")
        environment = {"GIT_EDITOR": str(here.box.root / "editor")}
        done = await here.git("commit", "-q", environment=environment)
        assert done.exit_code == 0, done.stderr.decode()
        assert outside.read_text() == "hook\neditor\n"
        assert (await here.git("commit", "-q", "--amend", "-m", "bad")).exit_code == 1
        assert native("log", "-1", "--format=%s", cwd=here.project) == "Edit a good subject"


async def test_code_planted_in_the_repository_cannot_change_the_plugins_hooks() -> None:
    async with served(refusing()) as here:
        hooks = here.box.root / "state" / "git" / "hooks"
        for command in (f"rm -rf {hooks}", f"echo 'exit 0' >{hooks}/../dispatch", f"mv {hooks} {hooks}2"):
            native("config", "alias.plant", f"!{command}", cwd=here.project)
            await here.git("plant")
        await here.commit("a.txt")
        if here.box.supervisor.ready[-1].isolation.landlock_abi:
            assert (await here.git("push", "--all")).exit_code != 0


async def test_repositories_outside_are_reached_only_when_the_policy_names_them() -> None:
    async with served() as here:
        other = here.box.root / "other.git"
        native("init", "-q", "--bare", str(other), cwd=here.box.root)
        for arguments in (("clone", str(other), "copy"), ("push", str(other), "HEAD:claude/x")):
            done = await here.git(*arguments)
            assert done.exit_code == 1
            assert b"the policy's `remotes` do not name it" in done.stderr
        done = await here.git("clone", "-q", str(here.upstream), "copy")
        assert done.exit_code == 0, done.stderr.decode()
        done = await here.git("clone", f"file://{here.upstream}", "copy2")
        assert done.exit_code == 0, done.stderr.decode()


@pytest.mark.parametrize(
    ("arguments", "environment", "start"),
    [
        ([], {"PAGER": "sed s/^/from-PAGER:/"}, b"from-PAGER:"),
        (["-c", "core.pager=sed s/^/configured:/"], {"PAGER": "false"}, b"configured:"),
        (["-c", "pager.log=sed s/^/for-log:/"], {"PAGER": "false"}, b"for-log:"),
        (["-c", "core.pager=false"], {"GIT_PAGER": "sed s/^/first:/"}, b"first:"),
        (["-c", "core.pager=false", "--no-pager"], {}, b""),
        (["-c", "core.pager=false"], {"GIT_PAGER": "cat"}, b""),
    ],
)
async def test_at_a_terminal_the_callers_pager_shows_the_log(
    arguments: list[str], environment: dict[str, str], start: bytes
) -> None:
    async with served() as here:
        master, terminal = pty.openpty()
        process = await asyncio.create_subprocess_exec(
            str(here.box.root / "cli" / "git"), *arguments, "log", "--format=%s", cwd=here.project,
            env={**here.environment, "TERM": "xterm", **environment}, stdin=terminal, stdout=terminal,
        )  # fmt: skip
        os.close(terminal)
        async with asyncio.timeout(WITHIN):
            await process.wait()
        assert os.read(master, 4096) == start + b"First\r\n"
        os.close(master)

"""A workspace with an upstream, and the git plugin judging there with the real git, without a server."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from plugins.base.control import StartConfig
from plugins.base.model import Decision
from plugins.base.plugin import Captured, Command, HookCall, Invocation
from plugins.base.policy import Policy, parse_policy
from plugins.git.operation import GitOperation
from plugins.git.plugin import GitPlugin
from plugins.git.rules import GitRules

DEFAULT_POLICY = Path(__file__).parents[3] / "config" / "git.yaml"
IDENTITY = {
    "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.invalid",
    "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.invalid",
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
}  # fmt: skip
# Stands in for plugin-client: notes what a hook asks, and answers with the exit code in `answer`.
_SHIM = """#!/bin/sh
here=$(dirname "$0")/../../asked
case $1 in
--run) shift; exec "$@" ;;
esac
shift
number=$(ls "$here" | wc -l)
mkdir "$here/$number"
printf '%s\\0' "$@" >"$here/$number/args"
cat >"$here/$number/stdin"
env -0 >"$here/$number/env"
pwd >"$here/$number/cwd"
if [ -p "$here/../ready" ]; then
    echo >"$here/../ready"
    read -r _ <"$here/../go"
fi
exit "$(cat "$here/../answer")"
"""


def native(*arguments: str, cwd: Path, check: bool = True) -> str:
    """git as it is, with nothing of this machine's configuration."""
    done = subprocess.run(
        ["git", *arguments], cwd=cwd, check=check, capture_output=True, text=True, env=_environment()
    )
    return done.stdout.strip()


def _environment() -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C.UTF-8", **IDENTITY,
    }  # fmt: skip


async def runner(
    argv: tuple[str, ...], *, cwd: str, environment: Mapping[str, str] | None = None, stdin: bytes = b""
) -> Captured:
    """Runs look-ups as the worker would, without its sandbox."""
    process = await asyncio.create_subprocess_exec(
        *(os.fsencode(each) for each in argv), cwd=cwd, env={**_environment(), **(environment or {})},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate(stdin)
    return Captured(process.returncode or 0, out, err)


@dataclass(frozen=True)
class Judged:
    operation: GitOperation
    decision: Decision

    @property
    def rules(self) -> set[str]:
        return {reason.rule for reason in self.decision.reasons}


@dataclass
class Box:
    """`project` with origin `upstream.git`: main has two commits, claude/old one more."""

    root: Path
    policy: Policy
    plugin: GitPlugin
    spawned: list[tuple[str, ...]] = field(default_factory=list)

    @classmethod
    def make(cls, root: Path, policy_text: str | None = None) -> Box:
        root = root.resolve()
        project, upstream = root / "project", root / "upstream.git"
        native("init", "-q", "--bare", "-b", "main", str(upstream), cwd=root)
        native("init", "-q", "-b", "main", str(project), cwd=root)
        for number in (1, 2):
            (project / f"file{number}").write_text(f"{number}\n")
            native("add", ".", cwd=project)
            native("commit", "-q", "-m", f"Commit {number}", cwd=project)
        native("remote", "add", "origin", str(upstream), cwd=project)
        native("push", "-q", "-u", "origin", "main", cwd=project)
        native("push", "-q", "origin", "main:claude/old", cwd=project)
        (root / "asked").mkdir()
        (root / "state").mkdir()
        (root / "client").write_text(_SHIM)
        (root / "answer").write_text("0")
        config = StartConfig(
            plugin="git", socket="", control="", token="", workspace=str(project), state=str(root / "state"),
            client=str(root / "client"), path=os.environ["PATH"], origin=str(upstream),
        )  # fmt: skip
        text = DEFAULT_POLICY.read_text() if policy_text is None else policy_text
        return cls(root, parse_policy(text, rules_model=GitRules), GitPlugin(config))

    def use(self, policy_text: str) -> None:
        """Another policy from now on."""
        self.policy = parse_policy(policy_text, rules_model=GitRules)

    @property
    def project(self) -> Path:
        return self.root / "project"

    @property
    def upstream(self) -> Path:
        return self.root / "upstream.git"

    def git(self, *arguments: str) -> str:
        return native(*arguments, cwd=self.project)

    async def _run(
        self,
        argv: tuple[str, ...],
        *,
        cwd: str,
        environment: Mapping[str, str] | None = None,
        stdin: bytes = b"",
    ) -> Captured:
        self.spawned.append(argv)
        return await runner(argv, cwd=cwd, environment=environment, stdin=stdin)

    async def judge(
        self, *argv: str, cwd: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> Judged:
        """What the argv layer makes of a command."""
        invocation = self._invocation(argv, cwd, environment)
        operation = await self.plugin.inspect(invocation, self.policy, self._run)
        assert isinstance(operation, GitOperation)
        return Judged(operation, self.plugin.evaluate(self.policy, operation))

    def _invocation(
        self, argv: tuple[str, ...], cwd: Path | None, environment: Mapping[str, str] | None
    ) -> Invocation:
        return Invocation(argv, str(cwd or self.project), {**_environment(), **(environment or {})}, "1")

    async def run(
        self, *argv: str, environment: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Captured:
        """Run a command as the worker would, whatever the argv layer says of it."""
        judged = await self.judge(*argv, cwd=cwd, environment=environment)
        invocation = self._invocation(argv, cwd, environment)
        command = self.plugin.command(judged.operation, invocation, self.policy)
        return await runner(
            command.argv, cwd=invocation.cwd, environment={**invocation.environment, **command.environment}
        )

    def resolved(self, judged: Judged) -> Command:
        """The command that would run."""
        invocation = self._invocation(judged.operation.argv, Path(judged.operation.cwd), None)
        return self.plugin.command(judged.operation, invocation, self.policy)

    def asked(self) -> list[HookCall]:
        """What hooks asked so far, oldest first."""
        calls: list[HookCall] = []
        for number in sorted((self.root / "asked").iterdir(), key=lambda path: int(path.name)):
            name, *args = (number / "args").read_text().split("\0")[:-1]
            variables = dict(
                entry.split("=", 1) for entry in (number / "env").read_text().split("\0") if "=" in entry
            )
            cwd = (number / "cwd").read_text().strip()
            calls.append(HookCall(name, tuple(args), cwd, (number / "stdin").read_bytes(), variables))
        return calls

    async def judge_hook(self, *argv: str, environment: Mapping[str, str] | None = None) -> Judged:
        """Run a command up to its first hook that asks; judge what it asks while it waits; answer no."""
        shutil.rmtree(self.root / "asked")
        (self.root / "asked").mkdir()
        (self.root / "answer").write_text("1")
        for name in ("ready", "go"):
            os.mkfifo(self.root / name)
        try:
            async with asyncio.TaskGroup() as group:
                command = group.create_task(self.run(*argv, environment=environment))
                asks = group.create_task(asyncio.to_thread((self.root / "ready").read_bytes))
                await asyncio.wait((command, asks), return_when=asyncio.FIRST_COMPLETED)
                if not asks.done():
                    (self.root / "ready").write_bytes(b"")
                    raise AssertionError(f"no hook asked: {command.result().stderr.decode()}")
                judged = await self._judge_call(self.asked()[0], argv, environment)
                await asyncio.to_thread((self.root / "go").write_bytes, b"\n")
        finally:
            for name in ("ready", "go"):
                (self.root / name).unlink()
            (self.root / "answer").write_text("0")
        return judged

    async def _judge_call(
        self, call: HookCall, argv: tuple[str, ...], environment: Mapping[str, str] | None
    ) -> Judged:
        started = (await self.judge(*argv, environment=environment)).operation
        operation = await self.plugin.inspect_hook(call, started, self.policy, self._run)
        assert isinstance(operation, GitOperation)
        return Judged(operation, self.plugin.evaluate(self.policy, operation))

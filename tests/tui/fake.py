"""A backend without a supervisor: fixed data, a clock that stands still, a record of what was asked."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from plugins.base.control import AuditEvent, Isolation, Update
from plugins.base.errors import ClaudeContainerError
from plugins.base.model import Layer, Verdict
from plugins.base.policy import PolicyError, Problem
from plugins.base.policy.edit import EditError
from supervisor.audit.reader import AuditFilter, AuditRow
from supervisor.policies.replay import Difference
from supervisor.policies.store import PolicyConflict, PolicyEdit
from supervisor.status import PluginStatus, PolicyStatus, Request, Status
from tui.backend import Desk, Diagnostic, PolicyText, Version

NOW = 1_790_000_000.0

POLICY = """\
plugin: git
version: 1
rules:
  blocked_branches: [main, master, release/*, production]
  allowed_branch_patterns: [claude/*, feature/*]
  allow_force_push: false
approvals:
  on_block: hold
"""

DETAILS = """\
1 commit would arrive, 1 commit would be LOST.
+ 4f5e6d7 Rewrite the parser
- 1a2b3c4 Add the cache

 parser.py | 4 ++--
 1 file changed, 2 insertions(+), 2 deletions(-)

diff --git a/parser.py b/parser.py
@@ -1,3 +1,3 @@
-def parse(text):
+def parse(text, *, strict=True):
     return text.split()
"""


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def plugin(name: str = "git", **changes: Any) -> PluginStatus:
    base = PluginStatus(
        name=name, state="running", wanted=True, pid=4242, started=NOW - 3700, tool="git version 2.39.5",
        policy=PolicyStatus(state="enforced", file_hash=hash_of(POLICY), enforced_hash=hash_of(POLICY)),
        isolation=Isolation(landlock_abi=4, seccomp=True), commands=1234, blocked=17, running=1, rate=2.5,
        p50_ms=0.8, p95_ms=3.1, cpu_percent=1.2, memory_bytes=41_000_000,
    )  # fmt: skip
    return base.model_copy(update=changes)


def request(id_: str = "k7m2p9qd", **changes: Any) -> Request:
    base = Request(
        id=id_, state="open", plugin="git", layer="hook", args=("push", "--force", "origin", "main"),
        cwd="/home/dev/project", caller="uid=1000 pid=5151", fingerprint=id_, first=NOW - 31, last=NOW - 1,
        reasons=(
            ("blocked_branches", 4, "Branch main is protected."),
            ("allow_force_push", 6, "A forced push may lose commits."),
        ),
        remote="/srv/git/project.git", count=2, waiting=1, deadline=NOW + 89, details=DETAILS,
        updates=(
            Update(ref="refs/heads/main", old="1a2b3c4d" * 5, new="4f5e6d7c" * 5, fast_forward=False),
            Update(ref="refs/heads/claude/parser", old="0" * 40, new="4f5e6d7c" * 5),
        ),
    )  # fmt: skip
    return base.model_copy(update=changes)


def row(seq: int, **changes: Any) -> AuditRow:
    blocked = seq % 10 == 0
    event = AuditEvent(
        id=f"{seq:032x}", time=NOW - 5000 + seq, plugin="git", layer=Layer.ARGV, command=f"{seq:032x}",
        args=("push", "origin", "main" if blocked else f"claude/topic-{seq}"), cwd="/home/dev/project",
        verdict=Verdict.BLOCKED if blocked else Verdict.ALLOWED, rule="blocked_branches" if blocked else "",
        rule_line=4 if blocked else None, reason="Branch main is protected." if blocked else "",
        caller="uid=1000 pid=5151",
    )  # fmt: skip
    event = event.model_copy(update=changes)
    return AuditRow(seq, event, None if blocked else 0, None if blocked else 12.5)


def status(**changes: Any) -> Status:
    base = Status(
        pid=99, version="2.0.0", home="/home/dev/.claude-container", workspace="/home/dev/project",
        origin="/srv/git/project.git", started=NOW - 3700, operators=1, plugins=(plugin(),), requests_open=1,
    )  # fmt: skip
    return base.model_copy(update=changes)


class FakeMatches:
    def __init__(self, backend: FakeBackend, wanted: AuditFilter) -> None:
        self.backend = backend
        self.wanted = wanted

    def _found(self) -> list[AuditRow]:
        return [row for row in self.backend.audit if _matches(row, self.wanted)]

    def count(self) -> int:
        return len(self._found())

    def rows(self, first: int, limit: int) -> Sequence[AuditRow]:
        self.backend.fetched.append(first)
        return self._found()[first : first + limit]


def _matches(row: AuditRow, wanted: AuditFilter) -> bool:
    text = " ".join((row.event.plugin, *row.event.args, row.event.rule))
    return (not wanted.verdicts or row.event.verdict in wanted.verdicts) and wanted.text in text


class FakeBackend:
    """`tell` replaces the state, as a supervisor would; `asked` is what the operator did."""

    def __init__(self, logs: Path | None = None, **changes: Any) -> None:
        self.embedded = False
        self.asked: list[tuple[object, ...]] = []
        self.fetched: list[int] = []
        self.audit: list[AuditRow] = [row(seq) for seq in range(1, 101)]
        self.files = {"git": POLICY, "npm": "plugin: npm\nversion: 1\n"}
        self.logs = logs
        self.fails: ClaudeContainerError | None = None
        self.current = replace(
            Desk(link="connected", status=status(), requests=(request(),), newest=len(self.audit)), **changes
        )
        self._tell: Callable[[Desk], None] | None = None

    def now(self) -> float:
        return NOW

    async def follow(self, tell: Callable[[Desk], None]) -> None:
        self._tell = tell
        tell(self.current)
        await asyncio.Event().wait()

    def tell(self, **changes: Any) -> None:
        self.current = replace(self.current, **changes)
        if self._tell is not None:
            self._tell(self.current)

    def _note(self, *what: object) -> None:
        if self.fails is not None:
            raise self.fails
        self.asked.append(what)

    async def start_plugin(self, name: str) -> None:
        self._note("start", name)

    async def stop_plugin(self, name: str) -> None:
        self._note("stop", name)

    async def restart_plugin(self, name: str) -> None:
        self._note("restart", name)

    async def approve(
        self, request: str, mode: Literal["once", "time"], minutes: float | None = None
    ) -> None:
        self._note("approve", request, mode, minutes)

    async def always(self, request: str) -> PolicyEdit:
        old = self.files["git"]
        new = old.replace("allow_force_push: false", "allow_force_push: true")
        if new == old:
            raise EditError("No change of a rule allows this.")
        return PolicyEdit(Path("/config/git.yaml"), old, new, hash_of(old))

    async def approve_always(self, request: str, edit: PolicyEdit) -> None:
        self._note("always", request, edit.new)

    async def deny(self, request: str, reason: str) -> None:
        self._note("deny", request, reason)

    async def lockdown(self, on: bool, message: str) -> None:
        self._note("lockdown", on, message)
        self.tell(status=status(lockdown=message if on else None))

    async def save_policy(self, plugin: str, text: str, base: str) -> str:
        disk = self.files[plugin]
        if hash_of(disk) != base:
            raise PolicyConflict(plugin, disk, hash_of(disk))
        if problems := self.check_policy(plugin, text):
            raise PolicyError(
                tuple(Problem(each.line, each.column, each.message, f"{plugin}.yaml") for each in problems)
            )
        self._note("save", plugin, text)
        self.files[plugin] = text
        return hash_of(text)

    def policy_names(self) -> Sequence[str]:
        return sorted(self.files)

    def read_policy(self, plugin: str) -> PolicyText:
        return PolicyText(self.files[plugin], hash_of(self.files[plugin]), Path(f"/config/{plugin}.yaml"))

    def enforced_policy(self, plugin: str) -> str:
        return POLICY

    def check_policy(self, plugin: str, text: str) -> tuple[Diagnostic, ...]:
        lines = enumerate(text.splitlines(), 1)
        return tuple(Diagnostic(number, 3, "Unknown key.") for number, line in lines if "wrong" in line)

    def what_would_change(self, plugin: str, text: str) -> tuple[int, Sequence[Difference]]:
        if problems := self.check_policy(plugin, text):
            raise ClaudeContainerError(problems[0].message)
        return 100, [Difference(row(10).event, allowed=True, times=3)] if "[]" in text else []

    def policy_versions(self, plugin: str) -> Sequence[Version]:
        return [Version(hash_of(POLICY), NOW - 60, "uid=1000"), Version("ab" * 32, NOW - 3600, "uid=1000")]

    def policy_version(self, plugin: str, hash_: str) -> str:
        return POLICY if hash_ == hash_of(POLICY) else POLICY.replace("hold", "refuse")

    def matches(self, wanted: AuditFilter) -> FakeMatches:
        return FakeMatches(self, wanted)

    def latest(self, wanted: AuditFilter, limit: int) -> Sequence[AuditRow]:
        return FakeMatches(self, wanted)._found()[::-1][:limit]

    def export(self, wanted: AuditFilter, target: Path) -> int:
        self._note("export", wanted, target)
        return self.matches(wanted).count()

    def log_files(self) -> Sequence[Path]:
        return sorted(self.logs.glob("*.log")) if self.logs else []

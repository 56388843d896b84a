"""What the desk reads from the home itself: policies with their history, the audit log, log files.

Needs no supervisor. Every method may block: for threads. Writes nothing but exports.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from plugins.base.errors import ClaudeContainerError
from supervisor.home import Home
from tui.backend import Diagnostic, PolicyText, Version

if TYPE_CHECKING:
    from supervisor.audit.reader import AuditFilter, AuditReader, AuditRow
    from supervisor.policies.replay import Difference
    from supervisor.policies.store import PolicyStore


@dataclass(frozen=True, slots=True)
class LogMatches:
    """See `tui.backend.Matches`."""

    reader: AuditReader | None
    wanted: AuditFilter

    def count(self) -> int:
        return self.reader.count(self.wanted) if self.reader else 0

    def rows(self, first: int, limit: int) -> Sequence[AuditRow]:
        return self.reader.rows(self.wanted, first, limit) if self.reader else []


class HomeFiles:
    """The part of `tui.backend.Backend` that reads files and databases."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._reader: AuditReader | None = None

    # ------------------------------------------------------------ policies

    def _store(self) -> PolicyStore:
        from supervisor.policies.store import PolicyStore

        return PolicyStore(self._home)

    def policy_names(self) -> Sequence[str]:
        return self._store().names()

    def read_policy(self, plugin: str) -> PolicyText:
        file = self._store().read(plugin)
        if not file.hash and file.problems:
            raise ClaudeContainerError(str(file.problems[0]))
        return PolicyText(file.text, file.hash, file.path)

    def enforced_policy(self, plugin: str) -> str:
        return self._store().last_good(plugin) or ""

    def check_policy(self, plugin: str, text: str) -> tuple[Diagnostic, ...]:
        from plugins.base.policy import PolicyError

        try:
            self._store().parse(plugin, text)
        except PolicyError as error:
            return tuple(Diagnostic(each.line, each.column, each.message) for each in error.problems)
        return ()

    def what_would_change(self, plugin: str, text: str) -> tuple[int, Sequence[Difference]]:
        from supervisor.policies.consequences import consequences

        found = consequences(self._home, plugin, text)
        return found.looked_at, found.differences

    def policy_versions(self, plugin: str) -> Sequence[Version]:
        return [Version(entry.hash, entry.time, entry.who) for entry in self._store().history(plugin)]

    def policy_version(self, plugin: str, hash_: str) -> str:
        return self._store().text_of(plugin, hash_)

    # ------------------------------------------------------------ audit and logs

    def _audit(self) -> AuditReader | None:
        """The reader; None as long as there is no audit log."""
        if self._reader is None and self._home.audit_db.exists():
            from supervisor.audit.reader import AuditReader

            self._reader = AuditReader(self._home.audit_db)
        return self._reader

    def newest_row(self) -> int:
        reader = self._audit()
        try:
            return reader.newest() if reader else 0
        except ClaudeContainerError:
            return 0  # whoever shows rows tells what is wrong with the log

    def matches(self, wanted: AuditFilter) -> LogMatches:
        return LogMatches(self._audit(), wanted)

    def latest(self, wanted: AuditFilter, limit: int) -> Sequence[AuditRow]:
        reader = self._audit()
        return reader.latest(wanted, limit) if reader else []

    def export(self, wanted: AuditFilter, target: Path) -> int:
        from supervisor.audit.export import export

        reader = self._audit()
        if reader is None:
            raise ClaudeContainerError("There is nothing to export yet.")
        try:
            with target.open("x", encoding="utf-8", newline="") as file:
                return export(reader, wanted, "csv" if target.suffix == ".csv" else "jsonl", file)
        except OSError as error:
            raise ClaudeContainerError(
                f"Cannot write {target}: {error.strerror}.",
                hint="Name a new file in a directory you can write.",
            ) from error

    def log_files(self) -> Sequence[Path]:
        return sorted(self._home.logs.glob("*.log"))

    def close_log(self) -> None:
        if self._reader is not None:
            self._reader.close()

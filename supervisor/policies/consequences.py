"""What another policy would have decided differently, of what the audit log has. Blocking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from plugins.base.registry import plugin_class
from supervisor.audit.reader import AuditFilter, AuditReader, AuditRow
from supervisor.home import Home
from supervisor.policies.replay import Difference, differences, replayed
from supervisor.policies.store import PolicyStore

LATEST: Final = 1000  # audit rows that are looked at


@dataclass(frozen=True, slots=True)
class Consequences:
    """How many commands were looked at, and those that would have been decided differently."""

    looked_at: int
    differences: Sequence[Difference]


def consequences(home: Home, plugin: str, text: str, latest: int = LATEST) -> Consequences:
    """Replay the `latest` audit rows of the plugin.

    Raises `PolicyError` for a text with problems, `AuditError` when the log cannot be read.
    """
    store = PolicyStore(home)
    new, enforced = store.parse(plugin, text), store.last_good(plugin)
    events = replayed((row.event for row in _rows(home, plugin, latest)), plugin)
    if not enforced:
        return Consequences(len(events), ())
    old = store.parse(plugin, enforced)
    return Consequences(len(events), differences(plugin_class(plugin), old, new, events))


def _rows(home: Home, plugin: str, latest: int) -> Sequence[AuditRow]:
    if not home.audit_db.exists():
        return []
    reader = AuditReader(home.audit_db)
    try:
        return reader.latest(AuditFilter(plugin=plugin), latest)
    finally:
        reader.close()

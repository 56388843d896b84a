"""What another policy would have made of what happened: the same `evaluate`, on recorded operations. Pure.

A record has fewer facts than the command had when it ran (what aliases and remotes meant then), so both
policies judge the same record, and only where they differ is told.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from plugins.base.control import AuditEvent
from plugins.base.egress.connections import is_connection
from plugins.base.model import Layer, Operation, RefUpdate
from plugins.base.plugin import Plugin
from plugins.base.policy import Policy
from supervisor.status import Request

_LAYERS = frozenset(layer.value for layer in Layer)


@dataclass(frozen=True, slots=True)
class Difference:
    """A command that the other policy decides differently, and how often it was tried."""

    event: AuditEvent
    allowed: bool  # by the other policy
    times: int = 1


def operation_of(record: Request | AuditEvent) -> Operation:
    """The operation that was recorded, as `evaluate` takes it."""
    return Operation(
        record.plugin, Layer(record.layer), record.args, record.cwd, record.remote,
        tuple(RefUpdate(each.ref, each.old, each.new, each.fast_forward) for each in record.updates),
    )  # fmt: skip


def replayed(events: Iterable[AuditEvent], plugin: str) -> list[AuditEvent]:
    """Of each command of the plugin the record that knows most, from events that are newest first.

    A connection that a tool asked for is something else than the command that it belongs to.
    """
    newest: dict[tuple[str, ...], AuditEvent] = {}
    for event in events:
        if event.plugin == plugin and event.layer in _LAYERS and event.args and event.verdict != "info":
            further = event.args if is_connection(operation_of(event)) else ()
            newest.setdefault((event.command or event.id, *further), event)
    return list(newest.values())


def differences(
    kind: type[Plugin], old: Policy, new: Policy, events: Iterable[AuditEvent]
) -> list[Difference]:
    """What `new` decides differently from `old`; repeats of a command line are told once."""
    found: dict[tuple[bool, tuple[str, ...]], Difference] = {}
    for event in events:
        operation = operation_of(event)
        allowed = kind.decide(new, operation).allowed
        if allowed == kind.decide(old, operation).allowed:
            continue
        before = found.get((allowed, event.args))
        found[allowed, event.args] = (
            replace(before, times=before.times + 1) if before else Difference(event, allowed)
        )
    return list(found.values())

"""The lists of the dashboard and the approvals screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from plugins.base.text import command_line, printable
from tui import format as told
from tui.widgets.columns import Cell, Column
from tui.widgets.item_list import ItemList

if TYPE_CHECKING:
    from supervisor.audit.reader import AuditRow
    from supervisor.status import PluginStatus, Request


class PluginList(ItemList["PluginStatus"]):
    resting = True
    columns = (
        Column("plugin", 14, 9),
        Column("state", 12, 9),
        Column("policy", 10, 8),
        Column("isolation", 9, 7),
        Column("cmd/s", 5, 5, right=True),
        Column("p50", 6, 4, right=True),
        Column("p95", 6, 6, right=True),
        Column("cmds", 6, 6, right=True),
        Column("blocked", 7, 7, right=True),
        Column("up", 4, 3, right=True),
        Column("CPU", 5, 2, right=True),
        Column("memory", 6, 2, right=True),
        Column("restarts", 8, 1, right=True),
    )

    def __init__(self, now: Callable[[], float], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._now = now

    def key(self, item: PluginStatus) -> str:
        return item.name

    def row(self, item: PluginStatus) -> Sequence[Cell]:
        running = item.state == "running"
        up = told.age(self._now() - item.started) if running and item.started else "–"
        return (
            Cell(item.name, "strong"),
            Cell(*told.plugin_state(item)),
            Cell(*told.policy_state(item)),
            Cell(*told.isolation(item.isolation, running=running)),
            Cell(f"{item.rate:.1f}" if running else "–"),
            Cell(told.milliseconds(item.p50_ms) if item.p50_ms else "–"),
            Cell(told.milliseconds(item.p95_ms) if item.p95_ms else "–"),
            Cell(told.short_number(item.commands)),
            Cell(told.short_number(item.blocked), "bad" if item.blocked else "plain"),
            Cell(up),
            Cell(told.percent(item.cpu_percent)),
            Cell(told.memory(item.memory_bytes)),
            Cell(str(item.restarts), "warn" if item.restarts else "plain"),
        )


class RequestList(ItemList["Request"]):
    resting = True
    columns = (
        Column("state", 9, 9),
        Column("left", 5, 8, right=True),
        Column("command", 28, 9, grow=True),
        Column("why", 34, 3, grow=True),
        Column("rule", 20, 5),
        Column("tries", 5, 4, right=True),
        Column("at", 8, 2),
    )

    def __init__(self, now: Callable[[], float], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._now = now

    def key(self, item: Request) -> str:
        return item.id

    def row(self, item: Request) -> Sequence[Cell]:
        waits = item.state == "open" and item.waiting
        return (
            Cell(*told.request_state(item)),
            Cell(told.countdown(item.deadline, self._now()) if waits else "", "warn"),
            Cell(command_line(item.plugin, item.args), "strong" if item.state == "open" else "plain"),
            Cell(printable(item.reasons[0][2]) if item.reasons else "", "muted"),
            Cell(_rules(item), "muted"),
            Cell(str(item.count)),
            Cell(told.clock(item.last), "muted"),
        )

    @property
    def counting(self) -> bool:
        """Whether a countdown is in the list."""
        return any(item.state == "open" and item.waiting and item.deadline for item in self.items)


class DecisionList(ItemList["AuditRow"]):
    """Rows of the audit log in brief."""

    columns: tuple[Column, ...] = (
        Column("at", 8, 8),
        Column("verdict", 10, 9),
        Column("command", 34, 9, grow=True),
        Column("why", 34, 4, grow=True),
        Column("rule", 20, 6),
        Column("layer", 5, 2),
    )

    def key(self, item: AuditRow) -> str:
        return str(item.seq)

    def row(self, item: AuditRow) -> Sequence[Cell]:
        event = item.event
        return (
            Cell(told.clock(event.time), "muted"),
            Cell(*told.verdict(event)),
            Cell(told.event_text(event)),
            Cell(printable(event.reason) if event.args else "", "muted"),
            Cell(printable(event.rule), "muted"),
            Cell(event.layer, "muted"),
        )


class PassedList(DecisionList):
    """What was let through: nothing speaks against it, so nothing is told but the command."""

    header = False
    columns = (Column("", 8, 8), Column("", 10, 9), Column("", 34, 9, grow=True), Column("", 5, 2))

    def row(self, item: AuditRow) -> Sequence[Cell]:
        at, verdict, command, _why, _rule, layer = super().row(item)
        return at, verdict, command, layer


def _rules(request: Request) -> str:
    """The first rule that refuses, and how many more do."""
    rules = list(dict.fromkeys(rule for rule, _, _ in request.reasons))
    more = f" +{len(rules) - 1}" if len(rules) > 1 else ""
    return printable(rules[0]) + more if rules else ""

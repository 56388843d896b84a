"""1 Dashboard: is everything fine, what waits for me, what was stopped last, and what was let through."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.widget import Widget
from textual.widgets import Static

from plugins.base.errors import ClaudeContainerError
from plugins.base.text import printable
from tui.again import Again
from tui.backend import Desk
from tui.commands import DASHBOARD, bindings
from tui.format import Tone, count
from tui.outcomes import PASSED, REFUSED, let_through, one_for_each_command
from tui.screens.base import DeskScreen
from tui.widgets.line_list import LineList
from tui.widgets.lists import DecisionList, PassedList, PluginList, RequestList

if TYPE_CHECKING:
    from supervisor.audit.reader import AuditRow
    from supervisor.status import PluginStatus, Request

_LATEST = 200  # rows that are looked at
_EMPTY = {
    "plugins": "No plugins. Add one with: claude-container plugin add git",
    "waiting": "Nothing waits. Blocked commands that you may let through show up here.",
    "blocked": "Nothing was blocked yet.",
    "passed": "Nothing has run yet.",
}


class Dashboard(DeskScreen):
    MODE = "dashboard"
    COMMANDS_HERE = DASHBOARD
    BINDINGS: ClassVar = bindings(DASHBOARD)
    AUTO_FOCUS = "#plugins"
    VERTICAL_BREAKPOINTS = [(0, "-low"), (22, "-high")]  # noqa: RUF012 - Textual's own declaration

    def body(self) -> Iterable[Widget]:
        now = self.backend.now
        yield Static("Plugins", classes="section", markup=False)
        yield PluginList(now, id="plugins")
        yield Static("", id="plugin-note", markup=False)
        yield Static("Waiting for you", id="waiting-title", classes="section", markup=False)
        yield RequestList(now, id="waiting")
        yield Static("Latest blocked", classes="section", markup=False)
        yield DecisionList(id="blocked")
        yield Static("Latest let through", id="passed-title", classes="section", markup=False)
        yield PassedList(id="passed")

    def on_mount(self) -> None:
        self._newest = -1
        self._fetch_latest = Again(self, self._look_for_latest)
        self._second = self.set_interval(1.0, self._tick, pause=True)
        self._tell_what_is_empty(self.desk)

    def on_resize(self) -> None:
        self.show(self.desk)

    def show(self, desk: Desk) -> None:
        self._tell_what_is_empty(desk)
        plugins = self.query_one(PluginList)
        plugins.show(desk.status.plugins if desk.status else ())
        plugins.styles.height = max(2, min(len(plugins.items) + 1, max(4, self.size.height // 3)))
        self._tell_note()
        waiting = self.query_one(RequestList)
        waiting.show(_most_urgent_first(desk.open_requests))
        waiting.styles.height = max(2, min(len(waiting.items) + 1, max(5, self.size.height // 3)))
        title = (
            f"Waiting for you: {count(len(waiting.items), 'request')}" if waiting.items else "Waiting for you"
        )
        self.query_one("#waiting-title", Static).update(title)
        self._count_down()
        if desk.newest != self._newest:
            self._newest = desk.newest
            self._fetch_latest()

    def _tell_what_is_empty(self, desk: Desk) -> None:
        missing = "Not connected." if desk.link == "lost" else "Loading …" if desk.status is None else ""
        for id_, words in _EMPTY.items():
            self.query_one(f"#{id_}", LineList).empty = missing or words

    # ------------------------------------------------------------ countdown

    def _count_down(self) -> None:
        """Run the timer only while there is something that counts down."""
        if self.query_one(RequestList).counting:
            self._second.resume()
        else:
            self._second.pause()

    def _tick(self) -> None:
        if self.is_current:
            self.query_one(RequestList).refresh()

    def on_screen_suspend(self) -> None:
        self._second.pause()

    # ------------------------------------------------------------ latest decisions

    async def _look_for_latest(self) -> None:
        blocked, passed = self.query_one("#blocked", DecisionList), self.query_one("#passed", PassedList)
        try:
            refused, through = await asyncio.to_thread(self._latest)
        except ClaudeContainerError as error:
            blocked.empty = f"The audit log cannot be read: {error.message} {error.hint}"
            return
        blocked.show(refused)
        passed.show(through)

    def _latest(self) -> tuple[Sequence[AuditRow], Sequence[AuditRow]]:
        from supervisor.audit.reader import AuditFilter

        refused = self.backend.latest(AuditFilter(verdicts=REFUSED), _LATEST)
        passed = self.backend.latest(AuditFilter(verdicts=PASSED), _LATEST)
        if len(refused) == _LATEST:  # of what is older it is not known whether a later layer refused it
            passed = [row for row in passed if row.seq > refused[-1].seq]
        return one_for_each_command(refused), let_through((*refused, *passed))

    # ------------------------------------------------------------ plugins

    @on(LineList.Moved, "#plugins")
    def _tell_note(self) -> None:
        text, tone = _note(self.query_one(PluginList).current)
        note = self.query_one("#plugin-note", Static)
        note.update(printable(text))
        note.set_classes(f"-{tone}")
        note.display = bool(text)

    @on(LineList.Opened, "#plugins")
    def _open_plugin(self) -> None:
        from tui.prose import plugin_text
        from tui.screens.dialogs import Reading

        if plugin := self.query_one(PluginList).current:
            self.app.push_screen(Reading(plugin.name, plugin_text(plugin, self.backend.now())))

    @work(exclusive=True, group="flow")
    async def action_start_stop(self) -> None:
        from tui import operations

        if plugin := self.query_one(PluginList).current:
            await operations.start_or_stop(self, plugin)

    @work(exclusive=True, group="flow")
    async def action_restart(self) -> None:
        from tui import operations

        if plugin := self.query_one(PluginList).current:
            await operations.restart(self, plugin)

    # ------------------------------------------------------------ requests

    def _request(self) -> Request | None:
        request = self.query_one(RequestList).current
        if request is None:
            self.notify("Nothing waits for an answer.", markup=False)
        return request

    @on(LineList.Opened, "#waiting")
    def _open_request(self) -> None:
        from tui.screens.request import RequestDetail

        if request := self.query_one(RequestList).current:
            self.app.push_screen(RequestDetail(request.id))

    @on(LineList.Opened, "#blocked")
    @on(LineList.Opened, "#passed")
    def _open_decision(self, event: LineList.Opened) -> None:
        from tui.prose import row_text
        from tui.screens.dialogs import Reading

        decisions = event.sender
        if isinstance(decisions, DecisionList) and (row := decisions.current):
            self.app.push_screen(Reading(f"Audit row {row.seq}", row_text(row)))

    @work(exclusive=True, group="flow")
    async def action_approve(self) -> None:
        from tui import operations

        if request := self._request():
            await operations.approve(self, request)

    @work(exclusive=True, group="flow")
    async def action_deny(self) -> None:
        from tui import operations

        if request := self._request():
            await operations.deny(self, request)


def _most_urgent_first(requests: Sequence[Request]) -> list[Request]:
    """Commands that wait come first, by deadline; then the newest."""
    return sorted(requests, key=lambda request: (not request.waiting, request.deadline or 0.0, -request.last))


def _note(plugin: PluginStatus | None) -> tuple[str, Tone]:
    """What is wrong with the plugin, in one line."""
    if plugin is None:
        return "", "plain"
    if plugin.policy.problems:
        more = len(plugin.policy.problems) - 1
        first = f"✖ {plugin.policy.problems[0]}" + (f"  (and {more} more)" if more else "")
        return first, "bad"
    if plugin.reason:
        again = "  (r tries again)" if plugin.state == "crash-loop" else ""
        return f"▲ {plugin.name}: {plugin.reason}{again}", "warn"
    if plugin.state == "running" and plugin.isolation.missing:
        return f"◐ {plugin.name} runs without: {'; '.join(plugin.isolation.missing)}", "warn"
    return "", "plain"

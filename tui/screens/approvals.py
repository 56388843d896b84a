"""2 Approvals: what an operation is, exactly, and the yes or no to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import on, work
from textual.containers import Horizontal, VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from supervisor.status import Request
from tui import operations
from tui.backend import Desk
from tui.commands import APPROVALS, bindings
from tui.prose import request_text
from tui.screens.base import DeskScreen
from tui.widgets.line_list import LineList
from tui.widgets.lists import RequestList

_ORDER = {"open": 0, "granted": 1}
_EMPTY = (
    "No requests. When a rule blocks a command that you may let through, it waits here for your answer; "
    "without an operator attached it is refused at once, and a later yes lets its retry pass."
)


class Approvals(DeskScreen):
    MODE = "approvals"
    COMMANDS_HERE = APPROVALS
    CSS_PATH = "../styles/approvals.tcss"
    BINDINGS: ClassVar = bindings(command for command in APPROVALS if command.id != "read")
    AUTO_FOCUS = "#requests"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012 - Textual's own declaration

    def body(self) -> Iterable[Widget]:
        requests = RequestList(self.backend.now, id="requests")
        requests.empty = "Loading …"
        text = Static(id="detail", markup=False)
        yield Horizontal(requests, VerticalScroll(text, id="detail-scroll", can_focus=True), id="panes")

    def on_mount(self) -> None:
        self._shown = ""
        self._second = self.set_interval(1.0, self._tick, pause=True)

    def show(self, desk: Desk) -> None:
        requests = self.query_one(RequestList)
        requests.empty = "Loading …" if desk.status is None else _EMPTY
        requests.show(_ordered(desk.requests))
        if requests.counting:
            self._second.resume()
        else:
            self._second.pause()
        self._show_detail()

    def _tick(self) -> None:
        if self.is_current:
            self.query_one(RequestList).refresh()
            self._show_detail()

    def on_screen_suspend(self) -> None:
        self._second.pause()

    @on(LineList.Moved, "#requests")
    def _show_detail(self) -> None:
        request = self.query_one(RequestList).current
        detail = self.query_one("#detail", Static)
        if request is None:
            detail.update("")
            return
        detail.update(request_text(request, self.backend.now()))
        if request.id != self._shown:
            self._shown = request.id
            self.query_one("#detail-scroll", VerticalScroll).scroll_home(animate=False)

    @on(LineList.Opened, "#requests")
    def _read(self) -> None:
        from tui.screens.request import RequestDetail

        if request := self.query_one(RequestList).current:
            self.app.push_screen(RequestDetail(request.id))

    @work(exclusive=True, group="flow")
    async def action_approve(self) -> None:
        if request := self._request():
            await operations.approve(self, request)

    @work(exclusive=True, group="flow")
    async def action_deny(self) -> None:
        if request := self._request():
            await operations.deny(self, request)

    def _request(self) -> Request | None:
        request = self.query_one(RequestList).current
        if request is None:
            self.notify("There is no request to answer.", markup=False)
        return request


def _ordered(requests: Sequence[Request]) -> list[Request]:
    """Open ones first (those that wait, by deadline), then unused yeses, then the past, newest first."""
    return sorted(
        requests,
        key=lambda request: (
            _ORDER.get(request.state, 2), not request.waiting,
            (request.deadline or 0.0) if request.waiting else 0.0, -(request.answered or request.last),
        ),
    )  # fmt: skip

"""One request in full, over any screen: read, then approve or deny."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Label, Static

from supervisor.status import Request
from tui import operations
from tui.backend import Desk
from tui.commands import APPROVE, DENY
from tui.prose import request_text

if TYPE_CHECKING:
    from tui.app import DeskApp
    from tui.screens.base import DeskScreen


class RequestDetail(ModalScreen[None]):
    """Follows its request: an answer given elsewhere shows here."""

    BINDINGS: ClassVar[list[BindingType]] = [
        APPROVE.binding(),
        DENY.binding(),
        Binding("escape,enter,q", "close", "Close"),
    ]

    def __init__(self, request_id: str) -> None:
        super().__init__()
        self._id = request_id

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -wide"):
            yield Label(f"Request {self._id}", classes="dialog-title", markup=False)
            with VerticalScroll(classes="dialog-body", can_focus=True):
                yield Static(id="request", markup=False)
            yield Static("a: approve   d: deny   Esc: close", classes="dialog-hint", markup=False)

    def on_mount(self) -> None:
        feed = cast("DeskApp", self.app).feed
        feed.changed.subscribe(self, self._show)
        self._show(feed.desk)

    def _show(self, desk: Desk) -> None:
        request = self._request()
        now = cast("DeskApp", self.app).feed.backend.now()
        text = request_text(request, now) if request else "This request is gone."
        self.query_one("#request", Static).update(text)

    def _request(self) -> Request | None:
        desk = cast("DeskApp", self.app).feed.desk
        return next((request for request in desk.requests if request.id == self._id), None)

    def _below(self) -> DeskScreen:
        return cast("DeskScreen", self.app.screen_stack[0])

    @work(exclusive=True, group="flow")
    async def action_approve(self) -> None:
        if request := self._request():
            await operations.approve(self._below(), request)

    @work(exclusive=True, group="flow")
    async def action_deny(self) -> None:
        if request := self._request():
            await operations.deny(self._below(), request)

    def action_close(self) -> None:
        self.dismiss()

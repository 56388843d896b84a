"""The two or three lines on top of every screen: where one is, what one looks at, what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from plugins.base.text import printable
from supervisor.runtimes.choice import AS_ASKED
from tui.backend import Desk
from tui.format import count

if TYPE_CHECKING:
    from supervisor.status import Status

_SCREENS = ("dashboard", "approvals", "audit", "policy", "logs")


class Tab(Static):
    """The name of one screen; a click goes there."""

    class Chosen(Message):
        def __init__(self, mode: str) -> None:
            super().__init__()
            self.mode = mode

    def __init__(self, number: int, mode: str, *, current: bool) -> None:
        super().__init__(markup=False, classes="-current" if current else "")
        self._label = f"{number} {mode.capitalize()}"
        self._mode = mode

    def on_mount(self) -> None:
        self.tell(0)

    def tell(self, waiting: int) -> None:
        self.update(f" {self._label} ({waiting}) " if waiting else f" {self._label} ")
        self.set_class(bool(waiting), "-waiting")

    def on_click(self) -> None:
        self.post_message(self.Chosen(self._mode))


class Masthead(Vertical):
    """Tabs, one line of facts, and a banner while something is wrong."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self._mode = mode

    def compose(self) -> ComposeResult:
        with Horizontal(id="tabs"):
            for number, mode in enumerate(_SCREENS, 1):
                yield Tab(number, mode, current=mode == self._mode)
        yield Static("Connecting …", id="facts", markup=False)
        yield Static("", id="banner", markup=False)

    def show(self, desk: Desk) -> None:
        approvals = list(self.query(Tab))[_SCREENS.index("approvals")]
        approvals.tell(len(desk.open_requests))
        self.query_one("#facts", Static).update(_facts(desk))
        text, kind = _banner(desk)
        banner = self.query_one("#banner", Static)
        banner.update(Content(text))
        banner.set_class(bool(text), "-shown")
        banner.set_class(kind == "bad", "-bad")


def _facts(desk: Desk) -> Content:
    status = desk.status
    if status is None:
        return Content({"starting": "Starting the supervisor …", "lost": "Disconnected"}.get(
            desk.link, "Connecting to the supervisor …"))  # fmt: skip
    operators = "no operator attached" if not status.operators else count(status.operators, "operator")
    origin = f"origin {status.origin}" if status.origin else "no origin pinned"
    # The workspace comes first: on a narrow terminal the end is what gets lost.
    facts = (status.workspace, operators, *_runtime(status, origin))
    return Content("  ·  ".join(printable(fact) for fact in facts))


def _runtime(status: Status, origin: str) -> tuple[str, ...]:
    """How plugins run; last, and with the reason, where containers were not to be had."""
    reason = status.runtime_reason
    if status.runtime == "docker" or not reason or reason.startswith(AS_ASKED):
        return f"{status.runtime} runtime", origin
    return origin, f"{status.runtime} runtime: {reason}"


def _banner(desk: Desk) -> tuple[str, str]:
    if desk.link == "lost":
        return f"✖ DISCONNECTED  {printable(desk.problem)}", "bad"
    status = desk.status
    if status is None:
        return "", ""
    if status.lockdown is not None:
        message = printable(status.lockdown) or "no message"
        return f"✖ LOCKDOWN  every command is refused: {message}  (L lifts it)", "bad"
    if desk.problem:
        return f"▲ Requests cannot be read: {printable(desk.problem)}", "warn"
    if status.warnings:
        return "▲ " + "  ".join(printable(warning) for warning in status.warnings), "warn"
    return "", ""

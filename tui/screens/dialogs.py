"""Small questions: confirm, choose, type a line. The safe answer has the focus; Esc takes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, Static

_AROUND = 12  # lines of a question around what there is to read: border, title, two of text, buttons


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer: what the button says, and what it means."""

    id: str
    label: str
    danger: bool = False


class Question(ModalScreen[str]):
    """A question with a few answers; the first one is safe, focused, and what Esc means."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "safe", "Cancel"),
        Binding("left,up", "app.focus_previous", show=False),
        Binding("right,down", "app.focus_next", show=False),
    ]

    def __init__(
        self, title: str, text: str, choices: Sequence[Choice], *, body: Content | None = None
    ) -> None:
        super().__init__()
        self._title = title
        self._text = text
        self._choices = choices
        self._body = body

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Label(self._title, classes="dialog-title", markup=False)
            yield Static(self._text, classes="dialog-text", markup=False)
            if self._body is not None:
                with VerticalScroll(classes="dialog-body", can_focus=True):
                    yield Static(self._body)
            with Horizontal(classes="dialog-buttons"):
                for choice in self._choices:
                    yield Button(
                        Content(choice.label), id=choice.id, variant="error" if choice.danger else "default"
                    )

    def on_mount(self) -> None:
        self.query(Button).first().focus()

    def on_resize(self) -> None:
        """Whatever there is to read, the answers stay in view."""
        room = self.size.height * 94 // 100 - _AROUND
        for body in self.query(".dialog-body"):
            body.styles.max_height = max(2, room)

    @on(Button.Pressed)
    def _chosen(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id or self._choices[0].id)

    def action_safe(self) -> None:
        self.dismiss(self._choices[0].id)


def confirmation(
    title: str, consequence: str, *, safe: str, act: str, body: Content | None = None
) -> Question:
    """A question with two answers: `safe` dismisses with "no", `act` with "yes"."""
    return Question(title, consequence, (Choice("no", safe), Choice("yes", act, danger=True)), body=body)


class AskLine(ModalScreen[str | None]):
    """Asks for one line of text. Dismisses with None when cancelled."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Cancel")]

    def __init__(self, title: str, text: str, *, act: str, value: str = "", placeholder: str = "") -> None:
        super().__init__()
        self._title = title
        self._text = text
        self._act = act
        self._value = value
        self._placeholder = placeholder

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Label(self._title, classes="dialog-title", markup=False)
            yield Static(self._text, classes="dialog-text", markup=False)
            yield Input(self._value, placeholder=self._placeholder)
            yield Static(f"Enter: {self._act}   Esc: cancel", classes="dialog-hint", markup=False)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip())

    def action_cancel(self) -> None:
        self.dismiss(None)


class Reading(ModalScreen[None]):
    """Something to read, scrollable; Esc, Enter or q closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q,question_mark", "close", "Close")]

    def __init__(self, title: str, body: Content) -> None:
        super().__init__()
        self._title = title
        self._body = body

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -wide"):
            yield Label(self._title, classes="dialog-title", markup=False)
            with VerticalScroll(classes="dialog-body", can_focus=True):
                yield Static(self._body)
            yield Static("Esc: close   ↑ ↓: scroll", classes="dialog-hint", markup=False)

    def action_close(self) -> None:
        self.dismiss()

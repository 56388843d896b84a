"""Earlier policies of one plugin, and bringing one back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Label, Static

from plugins.base.errors import ClaudeContainerError
from tui.backend import Backend, Version
from tui.policy_buffer import changes
from tui.prose import diff
from tui.screens.dialogs import confirmation
from tui.widgets.line_list import LineList
from tui.widgets.policy_lists import Versions


class PolicyVersions(ModalScreen[str | None]):
    """Dismisses with the text to bring back, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Close")]

    def __init__(self, backend: Backend, plugin: str, versions: Sequence[Version], text: str) -> None:
        super().__init__()
        self._backend = backend
        self._plugin = plugin
        self._versions = versions
        self._text = text

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -wide"):
            yield Label(f"History of {self._plugin}.yaml", classes="dialog-title", markup=False)
            versions = Versions()
            versions.empty = "No policy of this plugin has been in force yet."
            yield versions
            yield Static("Enter: compare, and bring back   Esc: close", classes="dialog-hint", markup=False)

    def on_mount(self) -> None:
        self.query_one(Versions).show(self._versions)
        self.query_one(Versions).focus()

    @on(LineList.Opened)
    def _opened(self) -> None:
        if version := self.query_one(Versions).current:
            self._bring_back(version)

    @work(exclusive=True)
    async def _bring_back(self, version: Version) -> None:
        try:
            text = await asyncio.to_thread(self._backend.policy_version, self._plugin, version.hash)
        except ClaudeContainerError as error:
            self.notify(error.message, severity="error", markup=False)
            return
        difference = changes(self._text, text, "the text in the editor", f"version {version.hash[:12]}")
        if not difference:
            self.notify("That is the text in the editor.", markup=False)
            return
        question = confirmation(
            "Bring this policy back?",
            "It replaces the text in the editor (Ctrl+Z undoes that) and is enforced at once.",
            safe="Cancel", act="Bring it back", body=diff(difference),
        )  # fmt: skip
        if await self.app.push_screen_wait(question) == "yes":
            self.dismiss(text)

    def action_cancel(self) -> None:
        self.dismiss(None)

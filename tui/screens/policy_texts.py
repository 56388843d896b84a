"""The texts of the policy screen: read from disk, edited, and checked as one types.

A text that was edited is never replaced by what is on disk, only by the operator's word: see `policy`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from textual import on, work
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Static, TextArea

from plugins.base.errors import ClaudeContainerError
from supervisor.containers.names import AGENT
from tui.backend import Desk, Diagnostic
from tui.format import Tone
from tui.policy_buffer import PolicyBuffer
from tui.screens.base import DeskScreen
from tui.widgets.line_list import LineList
from tui.widgets.policy_lists import Diagnostics, PolicyFiles

_TYPING = 0.2  # seconds without a key before the text is checked


class PolicyTexts(DeskScreen):
    """Files, editor and problems, side by side."""

    MODE = "policy"
    CSS_PATH = "../styles/policy.tcss"
    # The list, not the editor: number keys must go on changing screens until one starts to edit.
    AUTO_FOCUS = "#files"

    def body(self) -> Iterable[Widget]:
        files = PolicyFiles(id="files")
        files.empty = "Loading …"
        editor = TextArea.code_editor("", language="yaml", id="editor", read_only=True)
        right = Vertical(editor, Static("", id="policy-state", markup=False), Diagnostics(id="problems"))
        yield Horizontal(files, right)

    def on_mount(self) -> None:
        self._buffers: dict[str, PolicyBuffer] = {}
        self._plugin = ""
        self._changes = -1
        self._match_theme()
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self._match_theme())

    def _match_theme(self) -> None:
        self.editor.theme = "vscode_dark" if self.app.current_theme.dark else "github_light"

    @property
    def editor(self) -> TextArea:
        return self.query_one("#editor", TextArea)

    @property
    def buffer(self) -> PolicyBuffer | None:
        return self._buffers.get(self._plugin)

    @property
    def unsaved(self) -> str:
        names = ", ".join(f"{name}.yaml" for name, buffer in self._buffers.items() if buffer.dirty)
        return f"Unsaved changes of {names} will be lost." if names else ""

    def show(self, desk: Desk) -> None:
        self._tell()
        if desk.policy_changes != self._changes:
            self._changes = desk.policy_changes
            self._look_at_disk()

    # ------------------------------------------------------------ files on disk

    @work(exclusive=True, group="disk")
    async def _look_at_disk(self) -> None:
        """Read what is on disk again; texts that were not edited follow it."""
        names = await asyncio.to_thread(self.backend.policy_names)
        files = self.query_one(PolicyFiles)
        files.empty = "No policy files. Add a plugin with: claude-container plugin add git"
        files.show(names)
        if files.current:
            await self._take_from_disk(files.current)

    async def _take_from_disk(self, plugin: str) -> None:
        try:
            file = await asyncio.to_thread(self.backend.read_policy, plugin)
        except ClaudeContainerError as error:
            self.complain(error)
            return
        buffer = self._buffers.get(plugin)
        if buffer is None:
            buffer = self._buffers[plugin] = PolicyBuffer.of(plugin, file)
        elif not buffer.see(file) and self._plugin == plugin:
            self._tell()
            return
        self._load(buffer)

    def _load(self, buffer: PolicyBuffer) -> None:
        """Put the buffer into the editor, the cursor where it was if it is the same file."""
        same = self._plugin == buffer.plugin
        self._plugin = buffer.plugin
        place = self.editor.cursor_location if same else (0, 0)
        self.editor.load_text(buffer.text)
        self.editor.read_only = False
        self.editor.move_cursor(place)
        self._check()
        self._tell()

    @on(LineList.Moved, "#files")
    def _choose_file(self) -> None:
        plugin = self.query_one(PolicyFiles).current
        if plugin and plugin != self._plugin:
            if plugin in self._buffers:
                self._load(self._buffers[plugin])
            self._read(plugin)

    @work(exclusive=True, group="disk")
    async def _read(self, plugin: str) -> None:
        await self._take_from_disk(plugin)

    @on(LineList.Opened, "#files")
    def _edit(self) -> None:
        self.editor.focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The editor can be left when one is in it: elsewhere its key would only take room from others."""
        if action == "leave_editor":
            return self.focused is self.editor
        return super().check_action(action, parameters)

    def action_leave_editor(self) -> None:
        self.query_one(PolicyFiles).focus()

    # ------------------------------------------------------------ live diagnostics

    @on(TextArea.Changed, "#editor")
    def _typed(self) -> None:
        if (buffer := self.buffer) and self.editor.text != buffer.text:
            buffer.type(self.editor.text)
            self._tell()
            self._check(after=_TYPING)

    @work(exclusive=True, group="check")
    async def _check(self, *, after: float = 0.0) -> None:
        await asyncio.sleep(after)
        if buffer := self.buffer:
            text = buffer.text
            found = await asyncio.to_thread(self.backend.check_policy, buffer.plugin, text)
            if buffer is self.buffer and text == buffer.text:
                self._take_diagnostics(buffer, found)

    def _take_diagnostics(self, buffer: PolicyBuffer, found: tuple[Diagnostic, ...]) -> None:
        buffer.diagnostics, buffer.checked = found, True
        self._tell()

    @on(LineList.Opened, "#problems")
    def _jump(self) -> None:
        if problem := self.query_one(Diagnostics).current:
            self.editor.move_cursor((problem.line - 1, max(0, problem.column - 1)), center=True)
            self.editor.focus()

    def _tell(self) -> None:
        buffer = self.buffer
        if buffer is None:
            return
        text, tone = buffer.state(self._enforced_hash(buffer.plugin))
        state = self.query_one("#policy-state", Static)
        state.update(f"{buffer.plugin}.yaml  {text}")
        state.set_classes(f"-{tone}")
        problems = self.query_one(Diagnostics)
        problems.show(buffer.diagnostics)
        problems.display = bool(buffer.diagnostics)
        problems.styles.height = max(1, min(len(buffer.diagnostics), 6))
        self.query_one(PolicyFiles).mark(self._marks())

    def _enforced_hash(self, name: str) -> str | None:
        plugin, status = self.desk.goes_by(name), self.desk.status
        if plugin is not None:
            return plugin.policy.enforced_hash
        return None if name == AGENT and status is not None and status.runtime == "process" else ""

    def _marks(self) -> dict[str, tuple[str, Tone]]:
        marks: dict[str, tuple[str, Tone]] = {}
        for name in self.query_one(PolicyFiles).items:
            buffer, plugin = self._buffers.get(name), self.desk.goes_by(name)
            if buffer and buffer.dirty:
                marks[name] = ("●", "accent")
            elif plugin and plugin.policy.state != "enforced":
                marks[name] = ("✖", "bad") if plugin.policy.state in ("invalid", "missing") else ("…", "warn")
        return marks

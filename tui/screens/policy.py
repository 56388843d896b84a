"""4 Policy: edit the rules; problems as one types, in force a moment after saving, never a lost text."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import ClassVar

from textual import on, work
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static, TextArea

from plugins.base.errors import ClaudeContainerError
from plugins.base.policy import PolicyError
from plugins.base.text import printable
from supervisor.policies.store import PolicyConflict
from tui.backend import Desk, Diagnostic
from tui.commands import POLICY, bindings
from tui.format import Tone
from tui.policy_buffer import PolicyBuffer, changes
from tui.prose import consequences, diff, lines, styled
from tui.screens.base import DeskScreen
from tui.screens.dialogs import Choice, Question, Reading, confirmation
from tui.widgets.line_list import LineList
from tui.widgets.policy_lists import Diagnostics, PolicyFiles

_TYPING = 0.2  # seconds without a key before the text is checked


class PolicyEditor(DeskScreen):
    MODE = "policy"
    COMMANDS_HERE = POLICY
    CSS_PATH = "../styles/policy.tcss"
    BINDINGS: ClassVar = bindings(POLICY)
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

    def _enforced_hash(self, name: str) -> str:
        plugin = self.desk.plugin(name)
        return plugin.policy.enforced_hash if plugin else ""

    def _marks(self) -> dict[str, tuple[str, Tone]]:
        marks: dict[str, tuple[str, Tone]] = {}
        for name in self.query_one(PolicyFiles).items:
            buffer, plugin = self._buffers.get(name), self.desk.plugin(name)
            if buffer and buffer.dirty:
                marks[name] = ("●", "accent")
            elif plugin and plugin.policy.state != "enforced":
                marks[name] = ("✖", "bad") if plugin.policy.state in ("invalid", "missing") else ("…", "warn")
        return marks

    # ------------------------------------------------------------ saving

    @work(exclusive=True, group="flow")
    async def action_save(self) -> None:
        buffer = self.buffer
        if buffer is None:
            return
        if not buffer.dirty and not buffer.overtaken:
            self.notify("Nothing has changed.", markup=False)
            return
        await self._save(buffer)

    async def _save(self, buffer: PolicyBuffer) -> None:
        text = buffer.text
        try:
            hash_ = await self.backend.save_policy(buffer.plugin, text, buffer.base.hash)
        except PolicyConflict:
            await self._settle(buffer)
        except PolicyError as error:
            found = tuple(Diagnostic(each.line, each.column, each.message) for each in error.problems)
            if text == buffer.text:
                self._take_diagnostics(buffer, found)
            self.notify("Not saved: the policy has problems. Enter on one goes to its line.",
                        severity="error", markup=False)  # fmt: skip
        except ClaudeContainerError as error:
            self.complain(error)
        else:
            typed_since, buffer.text = buffer.text, text
            buffer.saved(hash_)
            buffer.type(typed_since)
            self._tell()
            self.notify(f"Saved {buffer.plugin}.yaml.", markup=False)

    async def _settle(self, buffer: PolicyBuffer) -> None:
        """Somebody else saved the file meanwhile: show how it differs, and let the operator choose."""
        try:
            buffer.disk = await asyncio.to_thread(self.backend.read_policy, buffer.plugin)
        except ClaudeContainerError as error:
            self.complain(error)
            return
        if buffer.disk.text == buffer.text:  # the same text, saved twice
            buffer.reload()
            self._tell()
            return
        self._tell()
        question = Question(
            "The file changed on disk",
            "Somebody saved it since you began. Lines with - are only on disk, with + only yours.",
            (Choice("no", "Go on editing"), Choice("theirs", "Take theirs, drop mine", danger=True),
             Choice("mine", "Save mine over it", danger=True)),
            body=diff(changes(buffer.disk.text, buffer.text, "on disk", "yours")),
        )  # fmt: skip
        answer = await self.app.push_screen_wait(question)
        if answer == "theirs":
            buffer.reload()
            self._load(buffer)
        elif answer == "mine":
            buffer.base = buffer.disk
            await self._save(buffer)

    # ------------------------------------------------------------ comparing, going back

    @work(exclusive=True, group="flow")
    async def action_reload(self) -> None:
        buffer = self.buffer
        if buffer is None:
            return
        if buffer.dirty:
            question = confirmation(
                "Reload from disk?", "Your unsaved changes of this file will be lost.",
                safe="Keep mine", act="Reload",
            )  # fmt: skip
            if await self.app.push_screen_wait(question) != "yes":
                return
        try:
            buffer.disk = await asyncio.to_thread(self.backend.read_policy, buffer.plugin)
        except ClaudeContainerError as error:
            self.complain(error)
            return
        buffer.reload()
        self._load(buffer)

    @work(exclusive=True, group="flow")
    async def action_changes(self) -> None:
        if not (buffer := self.buffer):
            return
        try:
            enforced = await asyncio.to_thread(self.backend.enforced_policy, buffer.plugin)
        except ClaudeContainerError as error:
            self.complain(error)
            return
        difference = changes(enforced, buffer.text, "enforced", "in the editor")
        if not difference:
            self.notify("The text is what is enforced.", markup=False)
            return
        body = lines((await self._consequences(buffer), Content(), diff(difference)))
        await self.app.push_screen_wait(Reading("What would change", body))

    async def _consequences(self, buffer: PolicyBuffer) -> Content:
        """What the text would have decided differently; why that is not known where it has problems."""
        try:
            told = await asyncio.to_thread(self.backend.what_would_change, buffer.plugin, buffer.text)
        except ClaudeContainerError as error:
            return styled(f"What it would decide is not known: {printable(error.message)}", "warn")
        return consequences(*told)

    @work(exclusive=True, group="flow")
    async def action_versions(self) -> None:
        from tui.screens.versions import PolicyVersions

        if not (buffer := self.buffer):
            return
        try:
            versions = await asyncio.to_thread(self.backend.policy_versions, buffer.plugin)
        except ClaudeContainerError as error:
            self.complain(error)
            return
        text = await self.app.push_screen_wait(
            PolicyVersions(self.backend, buffer.plugin, versions, buffer.text)
        )
        if text is not None:
            self.editor.replace(text, self.editor.document.start, self.editor.document.end)
            buffer.type(text)
            await self._save(buffer)

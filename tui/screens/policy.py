"""4 Policy: edit the rules; in force a moment after saving, never a lost text."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual import work
from textual.content import Content

from plugins.base.errors import ClaudeContainerError
from plugins.base.policy import PolicyError
from plugins.base.text import printable
from supervisor.policies.store import PolicyConflict
from tui.backend import Diagnostic
from tui.commands import POLICY, bindings
from tui.policy_buffer import PolicyBuffer, changes
from tui.prose import consequences, diff, lines, styled
from tui.screens.dialogs import Choice, Question, Reading, confirmation
from tui.screens.policy_texts import PolicyTexts


class PolicyEditor(PolicyTexts):
    """Saves the text, compares it, and goes back to earlier ones."""

    COMMANDS_HERE = POLICY
    BINDINGS: ClassVar = bindings(POLICY)

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

"""One policy file under edit: what is on disk, what is typed, what is in force. Pure; never loses text."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field

from tui.backend import Diagnostic, PolicyText
from tui.format import Tone, count


@dataclass(slots=True)
class PolicyBuffer:
    """`base` is the file that the typed text started from; `disk` is the file as it was seen last."""

    plugin: str
    base: PolicyText
    text: str
    disk: PolicyText
    diagnostics: tuple[Diagnostic, ...] = field(default=())
    checked: bool = False  # whether `diagnostics` are about `text`

    @classmethod
    def of(cls, plugin: str, file: PolicyText) -> PolicyBuffer:
        return cls(plugin, file, file.text, file)

    @property
    def dirty(self) -> bool:
        return self.text != self.base.text

    @property
    def overtaken(self) -> bool:
        """Whether the file changed on disk since the text was taken from it."""
        return self.disk.hash != self.base.hash

    def type(self, text: str) -> None:
        if text != self.text:
            self.text, self.checked = text, False

    def see(self, file: PolicyText) -> bool:
        """Note what is on disk. Returns True when the text follows it, as nothing typed would be lost."""
        self.disk = file
        if not self.overtaken:
            return False
        if self.dirty and self.text != file.text:
            return False
        self.reload()
        return True

    def reload(self) -> None:
        """Take the text on disk; what was typed is gone."""
        self.base, self.text, self.checked = self.disk, self.disk.text, False

    def saved(self, hash_: str) -> None:
        """The text was written and has this hash now."""
        self.base = self.disk = PolicyText(self.text, hash_, self.base.path)

    def state(self, enforced_hash: str | None) -> tuple[str, Tone]:
        """The state in a line: what is wrong comes first. None: nothing that runs here goes by this file."""
        if self.overtaken:
            return "▲ the file changed on disk: Ctrl+R reloads it, Ctrl+S compares with yours", "warn"
        edits = "● unsaved changes (Ctrl+S applies)" if self.dirty else ""
        if self.checked and self.diagnostics:
            problems = count(len(self.diagnostics), "problem")
            kept = (
                "the last good policy stays enforced"
                if enforced_hash
                else "nothing is enforced, all is refused"
            )
            return "  ·  ".join(filter(None, (f"✖ invalid: {problems}; {kept}", edits))), "bad"
        if self.dirty:
            return edits, "accent"
        if enforced_hash is None:
            return "– not in use: it is for agents of the docker runtime", "muted"
        if enforced_hash == self.base.hash:
            return "✓ enforced", "good"
        return "… saved, not enforced yet", "warn"


def changes(old: str, new: str, old_name: str, new_name: str) -> str:
    """A unified diff, empty when both are the same."""
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), old_name, new_name, lineterm="", n=3)
    return "\n".join(lines)

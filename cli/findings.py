"""What doctor finds: one thing looked at, and how people read it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `fix` is empty exactly when nothing has to be done."""

    subject: str
    state: str
    fix: str = ""
    note: bool = False  # nothing has to be done, but it is not simply fine: something to know

    @property
    def text(self) -> str:
        """One line, and a second one with the fix: `!` a problem, `·` to know, `✓` fine."""
        mark = "!" if self.fix else "·" if self.note else "✓"
        line = f"{mark} {self.subject}: {self.state}"
        return f"{line}\n  fix: {self.fix}" if self.fix else line

"""Which step of a build a line of an engine's output begins. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

# "Step 3/24 : RUN make" (Docker), "[2/3] STEP 1/5: RUN make" (Podman)
_STEP: Final = re.compile(r"(?:\[\d+/\d+\] )?step (\d+/\d+) ?: (.*)", re.IGNORECASE)

_SHOWN: Final = 60  # characters


@dataclass(frozen=True, slots=True)
class Step:
    number: str  # "3/24"
    text: str  # what is done: a line of the Containerfile

    def __str__(self) -> str:
        return f"step {self.number} ({self.instruction})"

    @property
    def instruction(self) -> str:
        """The first words of what is done."""
        return self.text if len(self.text) <= _SHOWN else f"{self.text[: _SHOWN - 1].rstrip()}…"


def step(line: str) -> Step | None:
    """The step that begins with this line; None when it is any other line."""
    found = _STEP.fullmatch(line)
    return Step(found[1], " ".join(found[2].split())) if found is not None else None

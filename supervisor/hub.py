"""Who wants to know what changed, and the warnings that everybody should know. One event loop, no I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

Topic = Literal["status", "requests", "audit", "policy"]
Listener = Callable[[Topic, bool], None]
TOPICS: tuple[Topic, ...] = ("status", "requests", "audit", "policy")


class Hub:
    """Tells its listeners that something changed; what it is now they ask for when they have time."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()
        self._warnings: dict[str, str] = {}

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with topic and urgency at each change, until what is returned is called."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def changed(self, topic: Topic, *, urgent: bool = True) -> None:
        """Tell it. What is not urgent (counters) may be told a little later."""
        for listener in tuple(self._listeners):
            listener(topic, urgent)

    def warn(self, subject: str, warning: str | None) -> None:
        """Set the warning about a subject, or take it back."""
        before = self._warnings.pop(subject, None)
        if warning is not None:
            self._warnings[subject] = warning
        if warning != before:
            self.changed("status")

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(self._warnings.values())

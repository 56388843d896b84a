"""How a container engine fails, in our family of errors. Needs no SDK, so everybody can tell them apart."""

from __future__ import annotations

from typing import Final

from plugins.base.errors import ClaudeContainerError

DOCTOR: Final = "See: claude-container doctor"


class EngineError(ClaudeContainerError):
    """The engine refused, or failed at, what it was asked to do."""


class EngineAway(EngineError):
    """No engine answers: none is there, it is not ours to use, it is too slow, or it just went away."""


class NotThere(EngineError):
    """The engine has no such container, image or network."""


class Taken(EngineError):
    """A name or an address range is in use already."""


class NotRunning(EngineError):
    """What is asked for is possible with running containers alone."""


class DiskFull(EngineError):
    """The engine's disk is full."""

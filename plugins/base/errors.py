"""The one family of errors: what happened, and what to do next.

Everything a person or an agent may cause is a `ClaudeContainerError`; anything else that reaches
the outermost layer is a bug. Failures on the way to a verdict are `Denied`, so that no path
forgets to refuse.
"""

from __future__ import annotations


class ClaudeContainerError(Exception):
    """A problem of the user's world: one clear sentence, and a hint with what to do next."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Denied(ClaudeContainerError):
    """The operation was not judged, or was judged and refused: it must not run."""


class ProtocolError(Denied):
    """The peer sent bytes that are not the protocol (see `plugins.base.serving.protocol`)."""


class WorkerError(Denied):
    """The sandboxed worker cannot run a command (it is gone, or its sandbox cannot be built)."""


class ToolMissing(Denied):
    """The real tool is not installed where the worker looks for it."""

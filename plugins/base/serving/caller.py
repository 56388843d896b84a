"""The two kinds of callers: one that passed its own descriptors, and one that gets a buffered answer.

Both give the worker three descriptors, can be told something on stderr, and build the last frame.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final, Protocol

from plugins.base.errors import ProtocolError
from plugins.base.policy.schema import Limits
from plugins.base.serving import protocol
from plugins.base.serving.output import Capture, fit, say

Descriptors = tuple[int, int, int]
_OUTPUT_PATIENCE: Final = 2.0  # seconds for output of children that outlive the command


class Caller(Protocol):
    """What the life of a command needs of its caller."""

    interactive: bool  # whether programs can be run on the caller's side

    def descriptors(self, limits: Limits) -> Descriptors:
        """The command's stdin, stdout and stderr; they stay the caller object's."""
        ...

    def handed_over(self) -> None:
        """The descriptors are on their way to the command: it has copies of its own."""
        ...

    async def say(self, text: str) -> None:
        """Tell something on stderr."""
        ...

    async def response(self, exit_code: int, *, error: str | None = None, signal: int | None = None) -> bytes:
        """The last frame; everything else is closed after it."""
        ...

    def close(self) -> None:
        """Close what is open. A second call does nothing."""
        ...


class DescriptorCaller:
    """A caller whose tool reads and writes the caller's own descriptors."""

    interactive = True

    def __init__(self, fds: Sequence[int]) -> None:
        if len(fds) != 3:
            raise ProtocolError('"stdio": "fds" needs exactly the descriptors 0, 1 and 2.')
        self._fds = list(fds)
        self._stderr = fds[2]
        self._unsaid = ""

    def descriptors(self, limits: Limits) -> Descriptors:
        stdin, stdout, stderr = self._fds
        return stdin, stdout, stderr

    def handed_over(self) -> None:
        """Keep stderr alone: whoever reads the command's output must see its end."""
        for fd in self._fds[:2]:
            os.close(fd)
        self._fds.clear()

    async def say(self, text: str) -> None:
        if self._stderr < 0 or not await say(self._stderr, text):
            self._unsaid += text

    async def response(self, exit_code: int, *, error: str | None = None, signal: int | None = None) -> bytes:
        self.close()
        return protocol.response(exit_code, stderr=self._unsaid, error=error, signal=signal)

    def close(self) -> None:
        self.handed_over()
        if self._stderr >= 0:
            os.close(self._stderr)
            self._stderr = -1


class BufferedCaller:
    """A caller that gets everything in one answer: no stdin, output up to a limit."""

    interactive = False

    def __init__(self) -> None:
        self._stdin = -1
        self._stdout: Capture | None = None
        self._stderr: Capture | None = None
        self._said = ""

    def descriptors(self, limits: Limits) -> Descriptors:
        self._stdin = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._stdout = Capture(limits.max_output_bytes)
        self._stderr = Capture(limits.max_output_bytes)
        return self._stdin, self._stdout.writer, self._stderr.writer

    def handed_over(self) -> None:
        self._close_stdin()
        for capture in (self._stdout, self._stderr):
            if capture is not None:
                capture.close_writer()

    async def say(self, text: str) -> None:
        self._said += text

    async def response(self, exit_code: int, *, error: str | None = None, signal: int | None = None) -> bytes:
        stdout, stderr, truncated = "", self._said, False
        if self._stdout is not None and self._stderr is not None:
            stdout = await self._stdout.text(_OUTPUT_PATIENCE)
            stderr = await self._stderr.text(_OUTPUT_PATIENCE) + stderr
            truncated = self._stdout.truncated or self._stderr.truncated
        self.close()
        stdout, stderr, cut = fit(stdout, stderr)
        return protocol.response(
            exit_code, stdout=stdout, stderr=stderr, error=error, signal=signal, truncated=truncated or cut
        )

    def _close_stdin(self) -> None:
        if self._stdin >= 0:
            os.close(self._stdin)
            self._stdin = -1

    def close(self) -> None:
        self._close_stdin()
        for capture in (self._stdout, self._stderr):
            if capture is not None:
                capture.close()

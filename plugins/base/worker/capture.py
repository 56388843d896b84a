"""Runs a command for the plugin itself and keeps what it prints, up to a limit."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from plugins.base.errors import WorkerError
from plugins.base.plugin import Captured

if TYPE_CHECKING:
    from plugins.base.worker.link import Exit, Running, Worker

MOST_OUTPUT: Final = 8 * 1024 * 1024  # bytes, both streams together
LONGEST: Final = 30.0  # seconds
_READ_SIZE: Final = 65536


class Budget:
    """Bytes that may still be kept; `spent` is called once when there are more."""

    def __init__(self, most: int) -> None:
        self._left = most
        self.spent: Callable[[], None] = lambda: None

    @property
    def exceeded(self) -> bool:
        return self._left < 0

    def take(self, count: int) -> None:
        before, self._left = self._left, self._left - count
        if before >= 0 > self._left:
            self.spent()


class Pipe:
    """One stream of a command: it writes to `theirs`, and we keep what comes."""

    def __init__(self, budget: Budget) -> None:
        self._loop = asyncio.get_running_loop()
        self._budget = budget
        self._data = bytearray()
        self._ours, self.theirs = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._ours, False)
        self._loop.add_reader(self._ours, self._readable)

    def _readable(self) -> None:
        if not self._read():
            self._loop.remove_reader(self._ours)

    def _read(self) -> bool:
        """Read some; False when there is no more, or no more to be kept."""
        try:
            data = os.read(self._ours, _READ_SIZE)
        except BlockingIOError:
            return True
        self._budget.take(len(data))
        if self._budget.exceeded:
            return False
        self._data += data
        return bool(data)

    def rest(self) -> bytes:
        """All that was printed, when the command has ended; a daemon of its may still hold the stream."""
        before = -1
        while before < len(self._data):
            before = len(self._data)
            self._read()
        return bytes(self._data)

    def handed_over(self) -> None:
        """The command's end is on its way to it: ours of that is closed."""
        if self.theirs >= 0:
            os.close(self.theirs)
            self.theirs = -1

    def close(self) -> None:
        self.handed_over()
        self._loop.remove_reader(self._ours)
        os.close(self._ours)


async def capture(
    worker: Worker,
    argv: tuple[str, ...],
    *,
    cwd: str,
    environment: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    longest: float = LONGEST,
    most_output: int = MOST_OUTPUT,
) -> Captured:
    """Run it to its end. Raises what `Worker.begin` and `Running.wait` raise; `WorkerError` past a limit."""
    budget = Budget(most_output)
    with ExitStack() as stack:
        source = _source(stdin)
        stack.callback(os.close, source)
        out, err = Pipe(budget), Pipe(budget)
        stack.callback(out.close)
        stack.callback(err.close)
        running = worker.begin(
            argv, cwd=cwd, environment=environment or {}, fds=(source, out.theirs, err.theirs)
        )
        budget.spent = running.kill  # before anything is read
        out.handed_over()
        err.handed_over()
        ended = await _end(running, argv[0], longest)
        stdout, stderr = out.rest(), err.rest()
    if budget.exceeded:
        raise WorkerError(f"{argv[0]} printed more than {most_output} bytes.")
    return Captured(ended.exit_code, stdout, stderr)


async def _end(running: Running, name: str, longest: float) -> Exit:
    try:
        async with asyncio.timeout(longest):
            return await running.wait()
    except TimeoutError as error:
        running.kill()
        raise WorkerError(f"{name} took longer than {longest:g} s and was ended.") from error
    except asyncio.CancelledError:
        running.kill()
        raise


def _source(data: bytes) -> int:
    """A descriptor to read the bytes from: a file in memory, so that nobody has to feed a pipe."""
    if not data:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    descriptor = os.memfd_create("stdin")
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.lseek(descriptor, 0, os.SEEK_SET)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor

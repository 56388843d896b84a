"""The plugin's own record of decisions, kept on disk until the supervisor has stored them.

A record is one line of JSON, written with one write(2) before the command runs: it outlives the process
however that ends. It is not synced to the disk, so a crash of the machine may cost the latest lines; that
is the price of a command in under a millisecond. What cannot be written raises `SpoolError`, and then the
command must not run.

Lines are in segments, `0000000000000001.log` and so on; a segment goes when all of it was stored. Nothing is
kept in memory but positions, so a supervisor that is away for days costs disk only, and a bounded amount.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from plugins.base.errors import Denied

SEGMENT_BYTES: Final = 8 * 1024 * 1024
MOST_BYTES: Final = 256 * 1024 * 1024
LONGEST_LINE: Final = 256 * 1024
# Emptying a file can take a millisecond. What it holds after a crash goes out again, which changes nothing.
_WORTH_EMPTYING: Final = 64 * 1024
_NAME: Final = re.compile(r"([0-9]{16})\.log")
_EVENT, _OUTCOME = b"E", b"O"


class SpoolError(Denied):
    """A decision cannot be recorded, so nothing may run."""


@dataclass(slots=True)
class _Segment:
    number: int
    fd: int
    size: int = 0
    sent: int = 0  # bytes handed out with `take`
    stored: int = 0  # bytes that the supervisor has
    lines: int = 0  # not stored yet
    inherited: bool = False  # from an earlier process: what is in it is checked


@dataclass(frozen=True, slots=True)
class Batch:
    """Raw JSON objects, oldest first; give it back with `stored`."""

    events: tuple[bytes, ...]
    outcomes: tuple[bytes, ...]
    lines: int
    segment: int
    end: int  # position after the last line in its segment


class Spool:
    """Append-only records of one plugin. One process at a time, one thread."""

    def __init__(self, directory: Path, *, segment_bytes: int = SEGMENT_BYTES, most_bytes: int = MOST_BYTES):
        self._directory = directory
        self._segment_bytes = segment_bytes
        self._most_bytes = most_bytes
        self._segments: list[_Segment] = []
        self._late: list[bytes] = []  # outcomes that did not fit on the disk
        self.on_append: Callable[[], None] = lambda: None

    @classmethod
    def open(cls, directory: Path) -> Spool:
        """Open the spool, with what an earlier process left. Raises `SpoolError`."""
        spool = cls(directory)
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            for number in sorted(_numbers(directory)):
                spool._segments.append(_reopen(directory, number))
        except OSError as error:
            spool.close()
            raise _error(error) from error
        return spool

    @property
    def pending(self) -> int:
        """How many records the supervisor has not stored yet."""
        return sum(segment.lines for segment in self._segments) + len(self._late)

    # ------------------------------------------------------------ writing

    def event(self, record: bytes) -> None:
        """Record an event, as JSON on one line. Raises `SpoolError`; then nothing was recorded."""
        try:
            self._write_late()
            self._append(_EVENT + record + b"\n")
        except OSError as error:
            raise _error(error) from error
        self.on_append()

    def outcome(self, record: bytes) -> None:
        """Record how a command ended. What does not fit on the disk is kept and written later."""
        try:
            self._write_late()
            self._append(_OUTCOME + record + b"\n")
        except (OSError, SpoolError):
            if len(self._late) < 4096:
                self._late.append(record)
        self.on_append()

    def _write_late(self) -> None:
        while self._late:
            self._append(_OUTCOME + self._late[0] + b"\n")
            del self._late[0]

    def _append(self, line: bytes) -> None:
        if len(line) > LONGEST_LINE:
            raise SpoolError(f"A record of {len(line)} bytes is too long.")
        segment = self._current(len(line))
        written = os.write(segment.fd, line)
        if written != len(line):
            os.ftruncate(segment.fd, segment.size)
            raise SpoolError(
                "The decision cannot be recorded: the disk is full.", hint="Free some space on the disk."
            )
        segment.size += written
        segment.lines += 1

    def _current(self, length: int) -> _Segment:
        """The segment to write to."""
        last = self._segments[-1] if self._segments else None
        if last is None or last.size + length > self._segment_bytes:
            if sum(segment.size for segment in self._segments) + length > self._most_bytes:
                raise SpoolError(
                    "The decision cannot be recorded: too many wait for the supervisor.",
                    hint="Start the supervisor: claude-container start.",
                )
            last = _create(self._directory, last.number + 1 if last else 1)
            self._segments.append(last)
        return last

    # ------------------------------------------------------------ handing over

    def take(self, most_bytes: int = LONGEST_LINE) -> Batch | None:
        """Return the next records to send, or None when all are sent. They stay until `stored`."""
        for segment in self._segments:
            if segment.sent < segment.size:
                data = os.pread(segment.fd, min(most_bytes, segment.size - segment.sent), segment.sent)
                data = data[: data.rfind(b"\n") + 1]
                segment.sent += len(data)
                lines = data.splitlines()
                good = [line for line in lines if _is_record(line)] if segment.inherited else lines
                return Batch(
                    tuple(line[1:] for line in good if line[:1] == _EVENT),
                    tuple(line[1:] for line in good if line[:1] == _OUTCOME),
                    len(lines),
                    segment.number,
                    segment.sent,
                )
        return None

    def stored(self, batch: Batch) -> None:
        """The supervisor has these records: forget them."""
        while self._segments and self._segments[0].number < batch.segment:
            self._remove(self._segments.pop(0))
        segment = self._segments[0]
        segment.lines -= batch.lines
        segment.stored = batch.end
        if batch.end == segment.size:
            if len(self._segments) > 1:
                self._remove(self._segments.pop(0))
            elif segment.size >= _WORTH_EMPTYING:
                _empty(segment)

    def send_again(self) -> None:
        """Hand everything out again: it is not known what the last supervisor stored."""
        for segment in self._segments:
            segment.sent = segment.stored
            segment.lines = _count_lines(segment)

    def _remove(self, segment: _Segment) -> None:
        os.close(segment.fd)
        (self._directory / _name(segment.number)).unlink(missing_ok=True)

    def close(self) -> None:
        for segment in self._segments:
            if segment.stored == segment.size:
                with suppress(OSError):
                    _empty(segment)
            os.close(segment.fd)
        self._segments.clear()


def _name(number: int) -> str:
    return f"{number:016d}.log"


def _numbers(directory: Path) -> list[int]:
    matches = (_NAME.fullmatch(path.name) for path in directory.iterdir())
    return [int(match.group(1)) for match in matches if match]


def _create(directory: Path, number: int) -> _Segment:
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    return _Segment(number, os.open(directory / _name(number), flags, 0o600))


def _reopen(directory: Path, number: int) -> _Segment:
    """Open a segment that an earlier process left; a last line that is not whole is cut off."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    segment = _Segment(number, os.open(directory / _name(number), flags), inherited=True)
    segment.size = os.fstat(segment.fd).st_size
    tail_start = max(0, segment.size - LONGEST_LINE)
    tail = os.pread(segment.fd, segment.size - tail_start, tail_start)
    whole = tail_start + tail.rfind(b"\n") + 1
    if whole != segment.size:
        os.ftruncate(segment.fd, whole)
        segment.size = whole
    segment.lines = _count_lines(segment)
    return segment


def _empty(segment: _Segment) -> None:
    os.ftruncate(segment.fd, 0)
    segment.size = segment.sent = segment.stored = segment.lines = 0


def _is_record(line: bytes) -> bool:
    """Whether a line is whole JSON; one that is not (after a crash of the machine) is left out."""
    try:
        return isinstance(json.loads(line[1:]), dict)
    except ValueError:
        return False


def _count_lines(segment: _Segment) -> int:
    """How many are not stored."""
    count, position = 0, segment.stored
    while data := os.pread(segment.fd, 1 << 20, position):
        count += data.count(b"\n")
        position += len(data)
    return count


def _error(error: OSError) -> SpoolError:
    return SpoolError(
        f"The decision cannot be recorded: {error.strerror or error}.",
        hint="Free some space on the disk, or make the plugin's state directory writable.",
    )

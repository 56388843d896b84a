"""Measuring: both sides in turn, many times, so that a drifting machine drifts for both.

Programs are started by posix_spawn and nothing more, so that the harness adds little to either
side. All times are seconds of wall clock.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Run = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Pair:
    """Medians of both sides (seconds), and the median of ours / native, pair by pair."""

    native: float
    ours: float
    ratio: float


def interleave(native: Run, ours: Run, *, runs: int, warmup: int = 3) -> Pair:
    """Run both in turn `runs` times, after `warmup` uncounted turns."""
    for _ in range(warmup):
        native()
        ours()
    pairs = [(native(), ours()) for _ in range(runs)]
    return Pair(
        statistics.median(first for first, _ in pairs),
        statistics.median(second for _, second in pairs),
        statistics.median(second / first for first, second in pairs),
    )


@dataclass(frozen=True, slots=True)
class Program:
    """A program ready to be spawned again and again in one place."""

    path: str
    argv: tuple[str, ...]
    environment: dict[str, str]

    def spawn(self, *, stdin: int | None = None, stdout: int | None = None) -> int:
        actions = [
            (os.POSIX_SPAWN_DUP2, fd, target) for fd, target in ((stdin, 0), (stdout, 1)) if fd is not None
        ]
        return os.posix_spawn(self.path, self.argv, self.environment, file_actions=actions)

    def seconds(self, *, stdout: int, stdin: int | None = None) -> float:
        """Run once to its end. Raises `RuntimeError` when it fails: a wrong answer has no speed."""
        start = time.perf_counter()
        finish(self.spawn(stdin=stdin, stdout=stdout))
        return time.perf_counter() - start

    def throughput_seconds(self, *, stdin_path: str | None = None) -> tuple[float, int]:
        """Run once, reading all it prints through a pipe. Returns seconds and bytes."""
        reader, writer = os.pipe()
        stdin = os.open(stdin_path, os.O_RDONLY) if stdin_path else None
        start = time.perf_counter()
        pid = self.spawn(stdin=stdin, stdout=writer)
        os.close(writer)
        total = drain(reader)
        finish(pid)
        elapsed = time.perf_counter() - start
        if stdin is not None:
            os.close(stdin)
        return elapsed, total


def drain(reader: int) -> int:
    """Read a descriptor to its end and close it. Returns how many bytes there were."""
    buffer = bytearray(1 << 20)
    total = 0
    while count := os.readv(reader, [buffer]):
        total += count
    os.close(reader)
    return total


def finish(pid: int) -> None:
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        raise RuntimeError(f"a benchmarked command failed with exit status {code}")


def all_at_once(program: Program, count: int, stdout: int) -> float:
    """Start `count` at once and wait for all. Returns seconds until the last one is done."""
    start = time.perf_counter()
    for pid in [program.spawn(stdout=stdout) for _ in range(count)]:
        finish(pid)
    return time.perf_counter() - start


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]

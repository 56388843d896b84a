"""Pieces of containers' logs, as engines send them."""

from __future__ import annotations

from pathlib import Path

import pytest

from supervisor.containers.logs import LogCopy, split
from supervisor.containers.stream import Stream

SECOND = 1795621135 * 10**9


@pytest.mark.parametrize(
    ("piece", "at"),
    [
        (b"2026-11-25T15:38:55.000000012Z a line\n", SECOND + 12),  # Docker
        (b"2026-11-25T15:38:55Z a line\n", SECOND),  # Podman, over the wire
        (b"2026-11-25T16:38:55.5+01:00 a line\n", SECOND + 5 * 10**8),  # Podman, from its file
    ],
)
def test_time_and_text_are_told_apart(piece: bytes, at: int) -> None:
    assert split(piece) == (at, b"a line\n")


def test_a_piece_without_its_time_is_none() -> None:
    with pytest.raises(ValueError, match="without its time"):
        split(b"a line\n")


class Pieces(Stream):
    """A stream of these pieces, with no connection behind it."""

    def __exit__(self, *exception: object) -> None:
        pass


async def copied(directory: Path, pieces: list[bytes]) -> str:
    """The log, when a copy that goes on where the one before it ended was given these pieces."""
    copy = LogCopy(directory / "log", directory / "seen")
    since: list[int] = []

    def follow(second: int) -> Stream:
        since.append(second)
        return Pieces(pieces)

    copy.start(follow)
    await copy.wait(60)
    assert since in ([0], [SECOND // 10**9])
    return (directory / "log").read_text()


@pytest.mark.parametrize("times", [("55", "55", "55"), ("55.1", "55.1", "55.2"), ("55.1", "55.2", "55.3")])
async def test_the_next_copy_goes_on_where_the_last_one_ended_even_within_one_time(
    tmp_path: Path, times: tuple[str, ...]
) -> None:
    pieces = [b"2026-11-25T15:38:%bZ %d\n" % (at.encode(), n) for n, at in enumerate(times)]
    assert await copied(tmp_path, pieces[:2]) == "0\n1\n"
    assert await copied(tmp_path, pieces) == "0\n1\n2\n"
    assert await copied(tmp_path, pieces) == "0\n1\n2\n"

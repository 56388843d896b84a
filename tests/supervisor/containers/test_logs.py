"""Pieces of containers' logs, as engines send them."""

from __future__ import annotations

import pytest

from supervisor.containers.logs import is_new, split

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


def test_what_was_copied_is_not_copied_again_unless_the_time_does_not_tell() -> None:
    assert is_new(SECOND + 13, SECOND + 12)
    assert not is_new(SECOND + 12, SECOND + 12)
    assert not is_new(SECOND - 1, SECOND)
    assert is_new(SECOND, SECOND)

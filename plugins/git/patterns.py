"""Patterns of the policy file: `*` stands for any text, `/` included; everything else for itself. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache


def matches(pattern: str, text: str) -> bool:
    """Whether the whole text matches; upper and lower case differ."""
    return _compiled(pattern).fullmatch(text) is not None


def first_match(patterns: Iterable[str], text: str) -> str | None:
    """The first pattern that matches, for messages."""
    return next((pattern for pattern in patterns if matches(pattern, text)), None)


def path_matches(pattern: str, path: str) -> bool:
    """Whether a file's path matches: a pattern without `/` is for a name at any depth.

    A pattern that names a directory is for everything in it.
    """
    pattern = pattern.removeprefix("./").rstrip("/")
    parts = path.split("/")
    if "/" not in pattern:
        return any(matches(pattern, part) for part in parts)
    return any(matches(pattern, "/".join(parts[: end + 1])) for end in range(len(parts)))


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    # Runs of `*` are one: many in a row would make matching slow and mean nothing more.
    pieces = [re.escape(piece) for piece in re.split(r"\*+", pattern)]
    return re.compile("(?s)" + ".*".join(pieces))

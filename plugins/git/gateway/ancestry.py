"""Is this push a fast-forward? Decided from commits that the gateway itself received or fetched.

Commits are named by their hash, and git checks it when a pack is stored: a chain of parents from
the new commit to the old one proves that nothing is lost, whoever sent it. Where the pushed commits
end without meeting the old one, the rest of the history comes from the remote.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Walk:
    """Walking back from a commit: whether the wanted one was met, and where knowledge ended."""

    found: bool
    frontier: frozenset[str]  # commits that are named as parents but not known


def walk_back(new: str, old: str, parents: Mapping[str, tuple[str, ...]]) -> Walk:
    """Walk from `new` through the known commits until `old` is met."""
    frontier: set[str] = set()
    seen = {new}
    todo = [new]
    while todo:
        commit = todo.pop()
        if commit == old:
            return Walk(True, frozenset())
        known = parents.get(commit)
        if known is None:
            frontier.add(commit)
            continue
        fresh = [parent for parent in known if parent not in seen]
        seen.update(fresh)
        todo.extend(fresh)
    return Walk(False, frozenset(frontier))

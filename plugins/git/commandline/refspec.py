"""Refspecs of a push: which ref of the remote each one would change. Pure.

Source: git-push(1), "<refspec>...". What only git can tell (a name that might be a branch or a tag at
the remote, a commit without a destination) stays open here; the pre-push hook judges it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refspec:
    """One refspec, taken apart. A missing destination is that of the source."""

    source: str
    destination: str
    force: bool = False
    matching: bool = False  # ":" and "+:": all branches that both sides have
    excludes: bool = False  # "^refs/heads/x"


@dataclass(frozen=True, slots=True)
class Target:
    """A ref of the remote that a push would change, as far as the command line and the facts tell."""

    ref: str  # full name; may have one "*"; "" when only git can tell
    force: bool = False
    delete: bool = False

    @property
    def exact(self) -> bool:
        return bool(self.ref) and "*" not in self.ref


def parse_refspec(text: str) -> Refspec:
    """Take one refspec apart."""
    force = text.startswith("+")
    body = text[1:] if force else text
    if body.startswith("^"):
        return Refspec("", body[1:], excludes=True)
    if body == ":":
        return Refspec("", "", force, matching=True)
    source, colon, destination = body.partition(":")
    return Refspec(source, destination if colon else source, force)


def read_words(words: Collection[str]) -> list[str]:
    """The refspecs among the words after the repository: `tag v1` stands for refs/tags/v1."""
    specs: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "tag":
            name = next(rest, None)
            word = f"refs/tags/{name}:refs/tags/{name}" if name is not None else word
        specs.append(word)
    return specs


def target_of(
    spec: Refspec, *, force: bool, delete: bool, branch: str, refs: Collection[str]
) -> Target | None:
    """What a refspec would change. `branch` is the checked-out one (a full ref, "" when detached).

    None when it changes nothing by itself. `refs` are the local refs that its names may mean.
    """
    if spec.excludes:
        return None
    force = force or spec.force
    if "\0" in spec.destination:  # from a shell alias: only the shell knows
        return Target("", force, delete or not spec.source)
    if spec.matching:
        return Target("refs/heads/*", force)
    if delete or not spec.source:
        return Target(full_name(spec.destination, refs), force, delete=True)
    if spec.destination == spec.source:
        return Target(_own_name(spec.source, branch, refs), force)
    as_tag = spec.source.startswith("refs/tags/")
    return Target("" if as_tag and "/" not in spec.destination else full_name(spec.destination, ()), force)


def full_name(name: str, refs: Collection[str]) -> str:
    """The full ref that a short name at the remote means: a branch, unless only a tag has that name."""
    if name.startswith("refs/") or name in ("", "HEAD"):
        return name
    if name.startswith(("heads/", "tags/", "remotes/")):
        return f"refs/{name}"
    if f"refs/tags/{name}" in refs and f"refs/heads/{name}" not in refs:
        return f"refs/tags/{name}"
    return f"refs/heads/{name}"


def _own_name(source: str, branch: str, refs: Collection[str]) -> str:
    """The destination of a refspec that names none: the ref that its source is."""
    if source in ("HEAD", "@"):
        return branch
    ref = full_name(source, refs)
    known = ref in refs or "*" in ref or source.startswith("refs/")
    return ref if known or _plain(source) else ""


def _plain(name: str) -> bool:
    """Whether a source can be a ref's name at all (and not `HEAD~2`, `main@{1}` or `:/text`)."""
    return not any(mark in name for mark in ("~", "^", "@{", ":", " ", "\\"))

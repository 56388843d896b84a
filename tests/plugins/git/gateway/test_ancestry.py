"""A fast-forward is proven by a chain of parents, and by nothing else."""

from __future__ import annotations

from plugins.git.gateway.ancestry import Walk, walk_back

_HISTORY = {"d": ("c", "x"), "c": ("b",), "x": ("b",), "b": ("a",)}


def test_the_old_commit_is_met() -> None:
    assert walk_back("d", "b", _HISTORY) == Walk(True, frozenset())


def test_the_old_commit_need_not_be_known_itself() -> None:
    assert walk_back("d", "a", _HISTORY).found


def test_what_is_not_known_is_the_frontier() -> None:
    assert walk_back("d", "z", {"d": ("c", "m"), "c": ("b",)}) == Walk(False, frozenset({"m", "b"}))


def test_a_commit_that_is_not_known_at_all_is_its_own_frontier() -> None:
    assert walk_back("d", "a", {}) == Walk(False, frozenset({"d"}))


def test_unrelated_history_with_roots_has_no_frontier() -> None:
    assert walk_back("d", "z", {"d": ("c",), "c": ()}) == Walk(False, frozenset())


def test_a_forged_loop_ends() -> None:
    assert walk_back("d", "z", {"d": ("c",), "c": ("d",)}) == Walk(False, frozenset())

"""Which places outside the workspace the worker may reach."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.git.access import borrowed_objects, repositories
from tests.plugins.git.box import Box, native


@pytest.fixture
def places(tmp_path: Path) -> Path:
    root = tmp_path.resolve()
    for name in ("w", "state", "srv", "srv/plain"):
        (root / name).mkdir()
    for name in ("a.git", "b.git"):
        native("init", "-q", "--bare", str(root / "srv" / name), cwd=root)
    native("init", "-q", str(root / "srv" / "tree"), cwd=root)
    return root


def found(places: Path, *patterns: str, origin: str = "") -> list[str]:
    paths = repositories(patterns, origin=origin, workspace=str(places / "w"), state=str(places / "state"))
    return [str(Path(path).relative_to(places)) for path in paths]


def test_only_git_repositories_are_opened(places: Path) -> None:
    assert found(places, f"{places}/srv/*") == ["srv/a.git", "srv/b.git", "srv/tree/.git"]
    assert found(places, f"{places}/srv/plain", f"{places}/srv", "/", f"{places}/nothing") == []


def test_origin_is_the_pinned_url_in_any_of_its_spellings(places: Path) -> None:
    for origin in (f"{places}/srv/a.git", f"{places}/srv/a", f"file://{places}/srv/a.git", "../srv/a.git"):
        assert found(places, "origin", origin=origin) == ["srv/a.git"]
    for origin in ("", "https://github.com/o/r.git", "git@github.com:o/r.git", f"ext::{places}/srv/a.git"):
        assert found(places, "origin", origin=origin) == []


def test_links_are_followed_to_the_real_place(places: Path) -> None:
    (places / "link").symlink_to(places / "srv" / "a.git")
    assert found(places, f"{places}/link") == ["srv/a.git"]


def test_neither_the_workspace_nor_the_plugins_state_is_opened(places: Path) -> None:
    native("init", "-q", "--bare", ".", cwd=places)
    native("init", "-q", "--bare", "state/x", cwd=places)
    native("init", "-q", "w/x", cwd=places)
    assert found(places, str(places), f"{places}/state/x", f"{places}/w/x") == []


def test_borrowed_objects_are_found_at_any_depth(places: Path) -> None:
    a, b = places / "srv" / "a.git" / "objects", places / "srv" / "b.git" / "objects"
    c = places / "srv" / "tree" / ".git" / "objects"
    (a / "info" / "alternates").write_text(f"{b}\n/etc\n")
    (b / "info" / "alternates").write_text(f"../../tree/.git/objects\n{a}\n")
    assert set(borrowed_objects([str(a.parent)])) == {str(b), str(c), str(a)}


async def test_the_plugin_opens_what_the_policy_names_and_its_own_files_for_reading(plain_box: Box) -> None:
    plugin, policy = plain_box.plugin, plain_box.policy
    own = str(plain_box.root / "state" / "git")
    assert plugin.writable_paths(policy) == (str(plain_box.upstream),)
    assert plugin.readable_paths(policy) == (own, str(plain_box.upstream))

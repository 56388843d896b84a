"""Which hooks of its own a repository has: what is not there costs nothing, what is there is found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from plugins.git.commandline import parse
from plugins.git.own_hooks import OwnHooks, own_hooks
from plugins.git.private import HOOKS
from tests.plugins.git.box import Box, native


def found(box: Box, line: str = "commit -m x", cwd: Path | None = None, **caller: str) -> OwnHooks:
    place = str(cwd or box.project)
    return own_hooks(parse(line.split()), caller, place, (str(box.project),), frozenset(HOOKS))


def own_hook(directory: Path, name: str, text: str = "exit 0") -> None:
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(f"#!/bin/sh\n{text}\n")
    (directory / name).chmod(0o755)


def test_a_plain_repository_has_none(plain_box: Box) -> None:
    (plain_box.project / "sub").mkdir()
    own_hook(plain_box.project / ".git" / "hooks", "pre-commit.sample")
    assert found(plain_box) is OwnHooks.NONE
    assert found(plain_box, cwd=plain_box.project / "sub") is OwnHooks.NONE
    assert found(plain_box, "-C sub/.. status") is OwnHooks.NONE
    assert found(plain_box, "fetch origin") is OwnHooks.NONE


def test_a_workspace_may_have_more_than_one_path(plain_box: Box, tmp_path: Path) -> None:
    workspaces = (str(tmp_path / "elsewhere"), str(plain_box.project))
    names = frozenset(HOOKS)
    assert own_hooks(parse(["status"]), {}, str(plain_box.project), workspaces, names) is OwnHooks.NONE
    assert own_hooks(parse(["status"]), {}, str(plain_box.project), workspaces[:1], names) is OwnHooks.ANY


@pytest.mark.parametrize("name", sorted(HOOKS))
def test_every_hook_is_found(plain_box: Box, name: str) -> None:
    own_hook(plain_box.project / ".git" / "hooks", name)
    often = name in ("reference-transaction", "post-index-change")
    assert found(plain_box) is (OwnHooks.ANY if often else OwnHooks.USUAL)


@pytest.mark.parametrize(
    "setting",
    ["core.hooksPath x", "include.path x", "includeIf.gitdir:/.path x", "extensions.worktreeConfig true"],
)
def test_a_configuration_that_may_name_hooks_counts(plain_box: Box, setting: str) -> None:
    plain_box.git("config", *setting.split())
    assert found(plain_box) is OwnHooks.USUAL


def test_a_callers_own_settings_count(plain_box: Box) -> None:
    assert found(plain_box, "-c core.HOOKSPATH=x commit") is OwnHooks.USUAL
    assert found(plain_box, "-c include.path=x commit") is OwnHooks.USUAL
    assert found(plain_box, GIT_CONFIG_COUNT="1") is OwnHooks.USUAL
    assert found(plain_box, GIT_CONFIG_PARAMETERS="'a.b=c'") is OwnHooks.USUAL


@pytest.mark.parametrize(
    "line", ["clone . x", "submodule update", "rebase --exec true HEAD", "--git-dir=x status"]
)
def test_commands_that_may_go_elsewhere_are_not_looked_at(plain_box: Box, line: str) -> None:
    assert found(plain_box, line) is OwnHooks.ANY
    assert found(plain_box, GIT_DIR=".git") is OwnHooks.ANY


def test_repositories_that_are_not_plain_to_see_count_as_having_any(plain_box: Box) -> None:
    inside = plain_box.project / "inside"
    native("init", "-q", "--bare", str(inside), cwd=plain_box.project)
    assert found(plain_box, cwd=inside) is OwnHooks.ANY
    assert found(plain_box, cwd=plain_box.root) is OwnHooks.ANY
    (plain_box.project / ".gitmodules").touch()
    assert found(plain_box) is OwnHooks.ANY
    (plain_box.project / ".gitmodules").unlink()
    (plain_box.project / ".git" / "config").rename(plain_box.root / "config")
    (plain_box.project / ".git" / "config").symlink_to(plain_box.root / "config")
    assert found(plain_box) is OwnHooks.ANY
    (plain_box.project / ".git" / "config").unlink()
    os.mkfifo(plain_box.project / ".git" / "config")
    assert found(plain_box) is OwnHooks.ANY


def test_a_further_worktree_has_the_hooks_of_its_repository(plain_box: Box) -> None:
    plain_box.git("worktree", "add", "-q", "tree")
    tree = plain_box.project / "tree"
    assert found(plain_box, cwd=tree) is OwnHooks.NONE
    own_hook(plain_box.project / ".git" / "hooks", "post-commit")
    assert found(plain_box, cwd=tree) is OwnHooks.USUAL
    (tree / ".git").write_text(f"gitdir: {plain_box.upstream}\n")
    assert found(plain_box, cwd=tree) is OwnHooks.ANY


@pytest.mark.parametrize("name", ["pre-commit", "post-commit", "reference-transaction", "post-index-change"])
async def test_own_hooks_run_wherever_they_lie(plain_box: Box, name: str) -> None:
    plain_box.git("config", "core.abbrev", "8")
    ran = plain_box.root / "ran"
    for directory in (plain_box.project / ".git" / "hooks", plain_box.project / "mine"):
        if directory.name == "mine":
            if name in ("reference-transaction", "post-index-change"):
                continue
            plain_box.git("config", "core.hooksPath", "mine")
        own_hook(directory, name, f"touch '{ran}'")
        (plain_box.project / "file1").write_text(str(directory))
        done = await plain_box.run("commit", "-a", "-m", "x")
        assert done.exit_code == 0, done.stderr
        assert ran.exists(), directory
        ran.unlink()


async def test_a_commit_without_own_hooks_runs_no_hook_and_a_rule_brings_its_own(plain_box: Box) -> None:
    """`dispatch` is gone, so that any hook fails."""
    (plain_box.root / "state" / "git" / "dispatch").write_text("#!/bin/sh\nexit 1\n")
    assert (await plain_box.run("commit", "--allow-empty", "-m", "x")).exit_code == 0
    assert (await plain_box.run("push", "origin", "HEAD:claude/x")).exit_code != 0
    plain_box.use(plain_box.policy.text.replace("rules:", "rules:\n  max_file_bytes: 10"))
    assert (await plain_box.run("commit", "--allow-empty", "-m", "x")).exit_code != 0

"""git's environment and configuration: the caller's where it may, ours where it must."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.git import environment
from plugins.git.commandline import parse
from plugins.git.private import HOOKS, PrivateFiles, configuration
from tests.plugins.git.box import Box, native

FILES = PrivateFiles(Path("/state/git"))


def test_programs_and_configuration_of_the_callers_choice_do_not_reach_git(plain_box: Box) -> None:
    kept = plain_box.plugin.environment(
        {
            "GIT_DIR": "x", "GIT_AUTHOR_NAME": "A", "GIT_EDITOR": "ed", "GIT_INDEX_FILE": "i",
            "LD_PRELOAD": "/x",
            "GIT_EXEC_PATH": "/x", "GIT_SSH_COMMAND": "sh", "GIT_CONFIG_GLOBAL": "/x",
            "GIT_ALLOW_PROTOCOL": "ext",
            "GIT_CONFIG_NOSYSTEM": "0", "GIT_ASKPASS": "/x", "CLAUDE_CONTAINER_SKIP_OWN_HOOKS": "x",
        }
    )  # fmt: skip
    assert kept == {"GIT_DIR": "x", "GIT_AUTHOR_NAME": "A", "GIT_EDITOR": "ed", "GIT_INDEX_FILE": "i"}


def test_what_is_ours_is_taken_out_when_it_comes_back() -> None:
    passed = {
        "GIT_EDITOR": "/state/git/bin/editor", "GIT_PAGER": "/state/git/bin/pager",
        "GIT_SEQUENCE_EDITOR": "mine",
        "GIT_CONFIG_PARAMETERS": "'a.b'='c' 'core.hooksPath'='/state/git/hooks'",
    }  # fmt: skip
    assert environment.callers(passed, FILES) == {
        "GIT_SEQUENCE_EDITOR": "mine", "GIT_CONFIG_PARAMETERS": "'a.b'='c'",
    }  # fmt: skip
    only_ours = {"GIT_CONFIG_PARAMETERS": "'core.hooksPath'='/state/git/hooks'"}
    assert environment.callers(only_ours, FILES) == {}


def test_an_editor_or_pager_that_git_would_not_start_stays() -> None:
    ours = environment.for_command(parse(["log"]), {"GIT_PAGER": "cat", "GIT_EDITOR": ":"}, FILES, ())
    assert "GIT_PAGER" not in ours
    assert "GIT_EDITOR" not in ours
    ours = environment.for_command(parse(["log"]), {"GIT_PAGER": "most"}, FILES, ())
    assert ours["GIT_PAGER"] == "/state/git/bin/pager"
    assert ours["CLAUDE_CONTAINER_PAGER"] == "most"


@pytest.mark.parametrize(
    ("line", "skipped"),
    [
        ("commit -n", "pre-commit commit-msg"),
        ("commit --no-verify --verify", ""),
        ("merge -n x", ""),
        ("merge --no-verify x", "pre-merge-commit commit-msg"),
        ("push --no-verify", "pre-push"),
        ("push -n", ""),
        ("tag -v v1", ""),
    ],
)
def test_no_verify_skips_the_hooks_that_git_says(line: str, skipped: str) -> None:
    ours = environment.for_command(parse(line.split()), {}, FILES, ())
    assert ours.get("CLAUDE_CONTAINER_SKIP_OWN_HOOKS", "") == skipped


async def test_only_git_without_a_verify_of_another_meaning_loses_it(plain_box: Box) -> None:
    assert plain_box.resolved(await plain_box.judge("tag", "-v", "v1")).argv[-3:] == ("tag", "-v", "v1")
    assert "-am" in plain_box.resolved(await plain_box.judge("commit", "-anm", "x")).argv


def test_settings_are_written_so_that_git_reads_them_back(tmp_path: Path) -> None:
    settings = {
        "user.name": 'A "quoted" \\ name # x', "user.email": "a@b", "diff.my tool.command": "x\ty",
        "core.editor": "",
        "bad": "x", "bad\nkey.x": "y",
    }  # fmt: skip
    file = tmp_path / "config"
    file.write_text(configuration(settings))
    for key in ("user.name", "user.email", "diff.my tool.command", "core.editor"):
        assert native("config", "--file", str(file), key, cwd=tmp_path) == settings[key]
    assert native("config", "--file", str(file), "safe.directory", cwd=tmp_path) == "*"


def test_files_are_written_anew_at_each_start(tmp_path: Path) -> None:
    client = tmp_path / "client"
    client.write_text("x")
    files = PrivateFiles(tmp_path / "it's" / "git")
    files.install(str(client), {})
    (files.root / "hooks" / "planted").write_text("x")
    files.install(str(client), {"user.name": "A"})
    assert sorted(path.name for path in (files.root / "hooks").iterdir()) == sorted(HOOKS)
    assert "it'\\''s" in (files.root / "dispatch").read_text()

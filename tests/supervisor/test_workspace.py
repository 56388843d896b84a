"""What can be a workspace, and what is taken over from git's configuration."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from plugins.base.errors import ClaudeContainerError
from plugins.git.origin import current_origin
from supervisor.home import Home
from supervisor.state_db import StateDb
from supervisor.workspace import checked, git_config, pinned_origin, tool_path

PATH = os.environ["PATH"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    subprocess.run(["git", "init", "-q", str(project)], check=True)
    return project


def git(project: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(project), *arguments], check=True)


def test_a_link_to_a_directory_is_a_workspace_by_its_real_name(tmp_path: Path, project: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(project)
    assert checked(link, Home(tmp_path / "home")) == project.resolve()


@pytest.mark.parametrize(
    ("workspace", "home", "message"),
    [
        ("missing", "home", "There is no workspace"),
        ("loop", "home", "There is no workspace"),
        ("file", "home", "is not a directory"),
        ("/", "/nonexistent", "holds more than a project"),
        ("user", "home", "holds more than a project"),
        ("around", "around/home", "must lie apart"),
        ("home/inside", "home", "must lie apart"),
        ("home", "home", "must lie apart"),
    ],
)
def test_what_is_no_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workspace: str, home: str, message: str
) -> None:
    for directory in ("user", "around/home", "home/inside"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    with pytest.raises(ClaudeContainerError, match=message):
        checked(tmp_path / workspace, Home(tmp_path / home))


def test_origin_is_pinned_by_the_first_start(tmp_path: Path, project: Path) -> None:
    db = StateDb(tmp_path / "state.db").open()
    git(project, "remote", "add", "origin", "https://example.invalid/first.git")
    first = "https://example.invalid/first.git"
    assert pinned_origin(project, db, PATH) == (first, first)
    git(project, "remote", "set-url", "origin", "https://example.invalid/second.git")
    assert pinned_origin(project, db, PATH) == (first, "https://example.invalid/second.git")
    db.close()


def test_that_there_was_none_is_pinned_too(tmp_path: Path, project: Path) -> None:
    db = StateDb(tmp_path / "state.db").open()
    assert pinned_origin(project, db, PATH) == ("", "")
    git(project, "remote", "add", "origin", "/elsewhere")
    assert pinned_origin(project, db, PATH) == ("", "/elsewhere")
    db.close()


def test_credentials_in_the_url_of_origin_go_nowhere(project: Path) -> None:
    git(project, "remote", "add", "origin", "https://me:secret@example.invalid/o/r.git")
    assert current_origin(project, PATH) == "https://example.invalid/o/r.git"


def test_the_user_of_an_ssh_url_stays(project: Path) -> None:
    git(project, "remote", "add", "origin", "git@example.invalid:o/r.git")
    assert current_origin(project, PATH) == "git@example.invalid:o/r.git"


def test_only_the_repository_itself_says_where_origin_is(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "remote.origin.url")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "/elsewhere")
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    assert current_origin(project, PATH) == ""


def test_looking_at_the_repository_runs_nothing_of_it(project: Path, tmp_path: Path) -> None:
    planted = tmp_path / "planted"
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\ntouch {planted}\n")
    script.chmod(0o755)
    for key in ("core.fsmonitor", "core.pager", "core.editor", "core.sshCommand", "alias.config"):
        git(project, "config", key, str(script))
    git(project, "remote", "add", "origin", "/somewhere")
    assert current_origin(project, PATH) == "/somewhere"
    assert not planted.exists()


def test_a_directory_without_a_repository_and_a_path_without_git_have_no_origin(tmp_path: Path) -> None:
    assert current_origin(tmp_path, PATH) == ""
    assert current_origin(tmp_path, "/nonexistent") == ""


def test_only_harmless_settings_of_the_operator_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "gitconfig"
    settings.write_text(
        "[user]\n name = An Operator\n signingkey = x\n[core]\n sshCommand = evil\n autocrlf = input\n"
        '[credential]\n helper = store\n[url "x"]\n insteadOf = y\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    assert git_config(PATH) == {"user.name": "An Operator", "core.autocrlf": "input"}
    assert git_config("/nonexistent") == {}


def test_tools_are_looked_up_neither_among_the_wrappers_nor_where_the_agent_writes(
    tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path / "home")
    home.cli.mkdir(parents=True)
    (tmp_path / "link").symlink_to(home.cli)
    hidden = [str(home.cli), str(tmp_path / "link"), str(project / "bin"), "", ".", "bin"]
    monkeypatch.setenv("PATH", os.pathsep.join([*hidden, "/usr/bin", "/bin"]))
    assert tool_path(home, project.resolve()) == "/usr/bin:/bin"

"""The client, its links, and what else ships with the program."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from plugins.base.errors import ClaudeContainerError
from plugins.base.policy import parse_policy
from plugins.base.registry import plugin_class
from supervisor import assets, wrappers
from supervisor.home import Home
from supervisor.images import of_home
from supervisor.setup import prepare_home
from supervisor.wrappers import check_tool_name, install_client, install_wrapper, is_free_name, remove_wrapper


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.cli.mkdir()
    return home


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands in for the client that ships."""
    binary = tmp_path / "shipped"
    binary.write_bytes(b"client 1")
    monkeypatch.setattr(wrappers, "client_binary", lambda: binary)
    return binary


def test_the_client_is_installed_once(home: Home, shipped: Path) -> None:
    assert install_client(home)
    assert not install_client(home)
    client = home.cli / "plugin-client"
    assert client.read_bytes() == b"client 1"
    assert client.stat().st_mode & 0o777 == 0o755
    assert os.listdir(home.cli) == ["plugin-client"]


def test_a_newer_client_takes_its_place_while_the_old_one_is_open(home: Home, shipped: Path) -> None:
    install_client(home)
    with (home.cli / "plugin-client").open("rb") as running:
        shipped.write_bytes(b"client 2")
        assert install_client(home)
        assert running.read() == b"client 1"
    assert (home.cli / "plugin-client").read_bytes() == b"client 2"


def test_a_client_with_another_mode_is_set_right(home: Home, shipped: Path) -> None:
    install_client(home)
    (home.cli / "plugin-client").chmod(0o777)
    assert install_client(home)
    assert (home.cli / "plugin-client").stat().st_mode & 0o777 == 0o755


def test_a_link_in_the_clients_place_is_replaced_and_not_followed(home: Home, shipped: Path) -> None:
    elsewhere = home.root / "elsewhere"
    elsewhere.write_bytes(b"mine")
    (home.cli / "plugin-client").symlink_to(elsewhere)
    assert install_client(home)
    assert elsewhere.read_bytes() == b"mine"
    assert not (home.cli / "plugin-client").is_symlink()


def test_without_a_compiler_the_client_comes_out_of_the_image(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wrappers, "client_binary", lambda: None)
    monkeypatch.setattr(of_home, "client_of_image", lambda _: b"program")
    assert wrappers.install_client(home)
    assert (home.cli / "plugin-client").read_bytes() == b"program"
    assert (home.cli / "plugin-client").stat().st_mode & 0o777 == 0o755


def test_without_binary_and_compiler_the_error_names_a_fix(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_home, "client_of_image", lambda _: None)
    monkeypatch.setattr(wrappers, "client_binary", lambda: None)
    with pytest.raises(ClaudeContainerError, match="no C compiler") as raised:
        install_client(home)
    assert "apt install gcc" in raised.value.hint


def test_a_home_without_a_client_gets_its_policies_and_the_rest_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path / "home")
    monkeypatch.setattr(wrappers, "client_binary", lambda: None)
    monkeypatch.setattr(of_home, "client_of_image", lambda _: None)
    with pytest.raises(ClaudeContainerError, match="no C compiler"):
        prepare_home(home)
    monkeypatch.setattr(of_home, "client_of_image", lambda _: b"program")
    prepare_home(home)
    assert (home.config / "git.yaml").is_file()
    assert os.readlink(home.cli / "git") == "plugin-client"


def test_a_wrapper_is_a_link_to_the_client(home: Home) -> None:
    assert install_wrapper(home, "git")
    assert os.readlink(home.cli / "git") == "plugin-client"
    assert not install_wrapper(home, "git")


@pytest.mark.parametrize("kind", ["file", "link", "directory"])
def test_what_the_operator_put_there_stays(home: Home, kind: str) -> None:
    own = home.cli / "npm"
    if kind == "file":
        own.write_text("#!/bin/sh\n", encoding="utf-8")
    elif kind == "link":
        own.symlink_to("/no/such/npm")
    else:
        own.mkdir()
    before = own.lstat()
    assert not install_wrapper(home, "npm")
    assert not remove_wrapper(home, "npm")
    assert own.lstat() == before


def test_a_wrapper_can_be_removed(home: Home) -> None:
    install_wrapper(home, "git")
    assert remove_wrapper(home, "git")
    assert not remove_wrapper(home, "git")
    assert os.listdir(home.cli) == []


def test_a_missing_directory_is_an_error_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(ClaudeContainerError, match="Cannot make the wrapper") as raised:
        install_wrapper(Home(tmp_path / "nowhere"), "git")
    assert raised.value.hint


@pytest.mark.parametrize("name", ["git", "npm", "gh", "7z", "c++", "R", "apt-get", "python3.11", "a" * 64])
def test_names_of_tools(name: str) -> None:
    check_tool_name(name)
    assert is_free_name(name)


NO_NAMES = [
    "", ".git", "-x", "a/b", "..", "a b", "a\n", "é", "a" * 65,
    "plugin-client", "plugin-client-2", "supervisor",
]  # fmt: skip


@pytest.mark.parametrize("name", NO_NAMES)
def test_names_that_no_tool_can_have(home: Home, name: str) -> None:
    assert not is_free_name(name)
    for action in (lambda: check_tool_name(name), lambda: install_wrapper(home, name)):
        with pytest.raises(ClaudeContainerError) as raised:
            action()
        assert raised.value.hint


# ---------------------------------------------------------------- what ships


def test_the_shipped_client_is_static_and_starts() -> None:
    client = assets.client_binary()
    if client is None:
        pytest.skip("needs a C compiler and make")
    done = subprocess.run([client, "--help"], capture_output=True, check=True, env={})
    assert done.stdout.startswith(b"usage: plugin-client")
    assert b"/ld-linux" not in client.read_bytes()[:4096]  # no program interpreter: it needs no library


def test_the_default_policies_are_gits_and_the_agents_and_valid() -> None:
    found = assets.default_policies()
    assert [policy.name for policy in found] == ["claude.yaml", "git.yaml"]
    for policy in found:
        text, model = policy.read_text(encoding="utf-8"), plugin_class(policy.stem).rules_model
        parse_policy(text, file=policy.name, rules_model=model, plugin=policy.stem)


def test_policies_are_found_by_the_tools_name() -> None:
    example = assets.shipped_policy("npm")
    assert example is not None
    parse_policy(example.read_text(encoding="utf-8"), plugin="npm")
    assert assets.shipped_policy("no-such-tool") is None
    assert assets.shipped_policy("../git") is None
    assert assets.shipped_policy("git") in assets.default_policies()


def test_a_wheel_brings_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "git.yaml").touch()
    (tmp_path / "plugin-client").touch()
    monkeypatch.setattr(assets, "_packaged", lambda: tmp_path)
    assert assets.client_binary() == tmp_path / "plugin-client"
    assert assets.default_policies() == [tmp_path / "config" / "git.yaml"]
    assert assets.shipped_policy("git") == tmp_path / "config" / "git.yaml"
    assert assets.shipped_policy("npm") is None


def test_a_client_that_does_not_compile_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "cli" / "agent"
    directory.mkdir(parents=True)
    rule = "plugin-client:\n\t@echo it is broken >&2; false\n"
    (directory / "Makefile").write_text(rule, encoding="utf-8")
    monkeypatch.setattr(assets, "_CHECKOUT", tmp_path)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    with pytest.raises(ClaudeContainerError, match="plugin-client does not compile") as raised:
        assets.client_binary()
    assert str(directory) in raised.value.hint


def test_without_a_compiler_there_is_no_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "_CHECKOUT", tmp_path)
    assert assets.client_binary() is None

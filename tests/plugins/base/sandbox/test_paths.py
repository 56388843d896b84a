from __future__ import annotations

from pathlib import Path

from plugins.base.sandbox import paths


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def opened(path: str, home: Path, *, writable: tuple[str, ...] = ()) -> set[str]:
    """What this PATH opens beside the system's own places."""
    found = paths.readable(path, homes=[home], writable=writable)
    return set(found) - set(paths.SYSTEM) - set(paths.ETC)


def test_the_system_is_open_and_homes_proc_and_secrets_are_not() -> None:
    found = paths.readable("/usr/bin:/bin")
    assert "/usr" in found
    assert not {"/", "/etc", "/proc", "/sys", "/home", "/root", "/tmp", "/var", "/etc/shadow"} & set(found)


def test_a_toolchain_in_a_home_opens_as_a_whole(tmp_path: Path) -> None:
    node = tmp_path / ".nvm" / "node-20"
    program(node / "bin" / "node")
    (node / "lib").mkdir()
    assert opened(f"{node}/bin", tmp_path) == {str(node)}


def test_a_home_s_own_bin_opens_nothing_else_of_the_home(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "tool")
    program(tmp_path / ".local" / "bin" / "tool")
    (tmp_path / "lib").mkdir()
    (tmp_path / ".local" / "lib").mkdir()
    found = opened(f"{tmp_path}/bin:{tmp_path}/.local/bin", tmp_path)
    assert found == {f"{tmp_path}/bin", f"{tmp_path}/.local/bin"}


def test_a_home_on_the_path_stays_closed(tmp_path: Path) -> None:
    assert opened(f"{tmp_path}:{tmp_path.parent}:/", tmp_path) == set()


def test_a_link_to_a_toolchain_opens_it(tmp_path: Path) -> None:
    node = tmp_path / "sdk" / "node-20"
    target = program(node / "bin" / "node")
    (node / "lib").mkdir()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "node").symlink_to(target)
    assert opened(f"{tmp_path}/bin", tmp_path) == {f"{tmp_path}/bin", str(node)}


def test_a_link_to_a_program_elsewhere_opens_the_one_file(tmp_path: Path) -> None:
    target = program(tmp_path / "project" / "run.sh")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "run").symlink_to(target)
    assert opened(f"{tmp_path}/bin", tmp_path) == {f"{tmp_path}/bin", str(target)}


def test_links_planted_where_commands_write_open_nothing(tmp_path: Path) -> None:
    secret = program(tmp_path / "home" / ".ssh" / "id_ed25519")
    workspace = tmp_path / "workspace"
    (workspace / "bin").mkdir(parents=True)
    (workspace / "bin" / "tool").symlink_to(secret)
    (tmp_path / "alias").symlink_to(workspace)
    for entry in (workspace / "bin", tmp_path / "alias" / "bin"):
        assert opened(str(entry), tmp_path / "home", writable=(str(workspace),)) == set()


def test_relative_and_missing_entries_open_nothing(tmp_path: Path) -> None:
    assert opened(f".:bin::{tmp_path}/nowhere", tmp_path) == set()

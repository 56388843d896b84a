"""Homes whose paths are long: Unix sockets have a limit."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.base.errors import ClaudeContainerError
from supervisor.home import Home


def home_of(tmp_path: Path, length: int) -> Home:
    """One whose path has this many bytes."""
    return Home(tmp_path / ("x" * (length - len(str(tmp_path)) - 1)))


def test_a_home_below_a_long_user_name_will_do(tmp_path: Path) -> None:
    home = home_of(tmp_path, max(79, len(str(tmp_path)) + 2))
    home.create()
    home.check_socket("git")


def test_a_home_without_room_for_our_sockets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClaudeContainerError, match="too long for Unix sockets"):
        home_of(tmp_path, 110).create()


def test_a_tools_name_that_no_longer_fits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClaudeContainerError, match=r"socket of x+ is too long"):
        home_of(tmp_path, 79).check_socket("x" * 64)

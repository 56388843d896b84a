from __future__ import annotations

import pytest

from plugins.base.text import command_line


@pytest.mark.parametrize(
    ("args", "shown"),
    [
        (("commit", "-m", "two words", ""), "git commit -m 'two words' ''"),
        (("log", "a\nb\x1b[2J"), r"git log 'a\nb\x1b[2J'"),
        (("log", "\udcff"), r"git log \xff"),
        ((), "git"),
    ],
)
def test_a_command_line_is_safe_to_show_and_tells_its_arguments_apart(
    args: tuple[str, ...], shown: str
) -> None:
    assert command_line("git", args) == shown

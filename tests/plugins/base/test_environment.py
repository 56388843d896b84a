"""What of a caller's environment reaches a tool."""

from __future__ import annotations

import pytest

from plugins.base.environment import LONGEST_VALUE, MOST_VARIABLES, passed_on


@pytest.mark.parametrize(
    "name",
    [
        "LANG", "LC_ALL", "TZ", "TERM", "NO_COLOR", "PAGER", "EDITOR", "SOURCE_DATE_EPOCH",
        "GIT_INDEX_FILE", "GIT_AUTHOR_NAME", "GIT_PAGER", "GIT_CONFIG_COUNT", "npm_config_loglevel",
    ],
)  # fmt: skip
def test_what_tools_legitimately_read_passes(name: str) -> None:
    assert passed_on({name: "value"}) == {name: "value"}


@pytest.mark.parametrize(
    "name",
    [
        "LD_PRELOAD", "LD_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES", "PATH", "HOME", "TMPDIR", "BASH_ENV", "ENV",
        "IFS", "PYTHONPATH", "PERL5LIB", "SSH_AUTH_SOCK", "DBUS_SESSION_BUS_ADDRESS", "CLAUDE_HOME",
        "CLAUDE_CONTAINER_CHANNEL", "GITHUB_TOKEN", "GIT_EXEC_PATH", "GIT_TEMPLATE_DIR", "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_PROXY_COMMAND",
        "GIT_ASKPASS", "GIT_SSL_NO_VERIFY", "http_proxy", "lang", "GIT_BAD-NAME", "GIT_X Y",
    ],
)  # fmt: skip
def test_loaders_sockets_and_what_is_ours_to_choose_stay_out(name: str) -> None:
    assert passed_on({name: "value"}) == {}


@pytest.mark.parametrize(
    ("value", "passes"), [("1", True), ("/w/trace", True), ("7", False), ("af_unix:/x", False)]
)
def test_traces_go_to_stderr_or_a_file_but_to_no_descriptor(value: str, passes: bool) -> None:
    assert ("GIT_TRACE" in passed_on({"GIT_TRACE": value})) is passes


def test_number_and_size_are_bounded() -> None:
    assert len(passed_on({f"GIT_{number}": "" for number in range(5000)})) == MOST_VARIABLES
    assert passed_on({"GIT_A": "x" * (LONGEST_VALUE + 1), "GIT_B": "y"}) == {"GIT_B": "y"}
    assert sum(map(len, passed_on({f"GIT_{n}": "x" * 100_000 for n in range(50)}).values())) <= 1 << 20


def test_values_that_are_not_utf_8_pass_unchanged() -> None:
    assert passed_on({"GIT_AUTHOR_NAME": "J\udcf6rg"}) == {"GIT_AUTHOR_NAME": "J\udcf6rg"}

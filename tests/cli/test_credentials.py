"""Credentials are named, with where they may go; their values are never shown."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from supervisor.setup import prepare_home
from tests.cli.commands import Commands
from tests.supervisor.harness import scratch

_TOKEN = "ghp_0123456789abcdefghij0123456789abcdef"


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Commands]:
    with scratch() as (home, _):
        home.config.rmdir()
        prepare_home(home)
        monkeypatch.setenv("GITHUB_TOKEN", _TOKEN)
        yield Commands(home, monkeypatch, capsys)


def test_the_list_names_each_credential_and_its_hosts(command: Commands) -> None:
    done = command("credentials", "list")
    assert "GITHUB_TOKEN" in done.out
    assert "github.com" in done.out
    assert _TOKEN not in done.out
    assert command("credentials", "list", "--json").json == [
        {"plugin": "git", "credential": "GITHUB_TOKEN", "variable": "GITHUB_TOKEN", "hosts": ["github.com"]}
    ]


def test_renewing_needs_a_value_in_the_environment(command: Commands) -> None:
    command.monkeypatch.delenv("GITHUB_TOKEN")
    assert "Export one of: GITHUB_TOKEN" in command.fails("credentials", "renew")


def test_renewing_needs_a_supervisor(command: Commands) -> None:
    assert "claude-container start" in command.fails("credentials", "renew")


def test_undoing_needs_a_supervisor(command: Commands) -> None:
    assert "claude-container start" in command.fails("approvals", "undo", "abcd2345")

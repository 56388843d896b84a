"""scripts/install.sh and scripts/run.sh, in a checkout of their own."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.supervisor.harness import scratch

SCRIPTS = Path(__file__).parents[2] / "scripts"
PROGRAM = Path(sys.executable).with_name("claude-container")
# Stands in for the command: says how it was called. Files beside it say what there is: `status` fails without
# "running"; with "compilerless", `init` fails without "built", which `build` makes unless it is "engineless".
SPY = """#!/bin/sh
echo "called: $*"
case "$*" in
  *status) test -e "$0.running" ;;
  *init) test ! -e "$0.compilerless" || test -e "$0.built" ;;
  *"build git") test ! -e "$0.engineless" && : >"$0.built" ;;
esac
"""


@dataclass
class Checkout:
    """A directory with the scripts; `claude` is the command that they call."""

    root: Path
    home: Path
    claude: Path

    def run(self, script: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root),
            "CLAUDE_CONTAINER": str(self.claude),
        }
        return subprocess.run(
            [str(self.root / "scripts" / script), *arguments], env={**environment, **more},
            capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def calls(self, script: str, *arguments: str, **more: str) -> list[str]:
        done = self.run(script, *arguments, **more)
        assert done.returncode == 0, done.stderr
        return [line.removeprefix("called: ") for line in done.stdout.splitlines() if "called" in line]


@pytest.fixture
def checkout() -> Iterator[Checkout]:
    with scratch() as (home, project):
        root = project / "checkout"
        shutil.copytree(SCRIPTS, root / "scripts")
        yield Checkout(root, home.root / "h", PROGRAM)


@pytest.fixture
def spied(checkout: Checkout) -> Checkout:
    checkout.claude = checkout.root / "spy"
    checkout.claude.write_text(SPY)
    checkout.claude.chmod(0o755)
    return checkout


def test_install_sets_up_home_and_settings_once(checkout: Checkout) -> None:
    first = checkout.run("install.sh", CLAUDE_HOME=str(checkout.home))
    assert first.returncode == 0, first.stderr
    assert (checkout.home / "cli" / "git").is_symlink()
    for private in ("state/pins", "run/compose/git", "run/compose/git-gateway", "run/compose/doors"):
        assert stat.S_IMODE((checkout.home / private).stat().st_mode) == 0o700
    settings = checkout.root / ".env"
    assert f"CLAUDE_UID='{os.getuid()}'" in settings.read_text()
    assert f"WORKSPACE='{checkout.root}/claude-workspace'" in settings.read_text()
    assert stat.S_IMODE(settings.stat().st_mode) == 0o600
    secret = settings.read_text().splitlines()[-1]
    assert re.fullmatch(r"CLAUDE_GATEWAY_SECRET='[0-9a-f]{64}'", secret)
    settings.write_text(f"{secret}\nWORKSPACE='/mine'\n")
    again = checkout.run("install.sh", CLAUDE_HOME=str(checkout.home))
    assert again.returncode == 0, again.stderr
    assert settings.read_text() == f"{secret}\nWORKSPACE='/mine'\n"


def test_install_adds_to_older_settings_what_they_lack(checkout: Checkout) -> None:
    settings = checkout.root / ".env"
    settings.write_text("WORKSPACE='/mine'")
    done = checkout.run("install.sh", CLAUDE_HOME=str(checkout.home))
    assert done.returncode == 0, done.stderr
    first, second = settings.read_text().splitlines()
    assert first == "WORKSPACE='/mine'"
    assert second.startswith("CLAUDE_GATEWAY_SECRET='")


def test_install_never_writes_a_credential(checkout: Checkout) -> None:
    checkout.run(
        "install.sh", CLAUDE_HOME=str(checkout.home), GITHUB_TOKEN="canary", ANTHROPIC_API_KEY="canary"
    )
    written = [path.read_bytes() for path in checkout.root.rglob("*") if path.is_file()]
    assert not any(b"canary" in text for text in written)


def test_install_refuses_a_workspace_that_holds_the_program(checkout: Checkout) -> None:
    for workspace in (checkout.root, checkout.root.parent):
        done = checkout.run("install.sh", WORKSPACE=str(workspace), CLAUDE_HOME=str(checkout.home))
        assert done.returncode == 1
        assert "holds Claude Container itself" in done.stderr
    assert not checkout.home.exists()


def test_install_without_a_compiler_builds_the_image_that_has_the_client(spied: Checkout) -> None:
    spied.claude.with_name("spy.compilerless").touch()
    home = str(spied.home)
    calls = spied.calls("install.sh", CLAUDE_HOME=home)
    assert calls == [f"--home {home} init", f"--home {home} build git", f"--home {home} init"]


def test_install_with_neither_compiler_nor_engine_fails(spied: Checkout) -> None:
    for lack in ("compilerless", "engineless"):
        spied.claude.with_name(f"spy.{lack}").touch()
    done = spied.run("install.sh", CLAUDE_HOME=str(spied.home))
    assert done.returncode == 1
    assert "Next:" not in done.stdout
    assert not (spied.root / ".env").exists()


def test_run_starts_what_does_not_run_and_then_the_agent(spied: Checkout) -> None:
    assert spied.calls("run.sh", WORKSPACE="/w") == ["start --runtime docker --workspace /w", "run"]
    spied.claude.with_name("spy.running").touch()
    assert spied.calls("run.sh", WORKSPACE="/w") == ["run"]


def test_run_passes_a_command_on(spied: Checkout) -> None:
    spied.claude.with_name("spy.running").touch()
    assert spied.calls("run.sh", "--", "sh", "-c", "true") == ["run -- sh -c true"]


@pytest.mark.parametrize(
    ("arguments", "call"),
    [
        (["start"], "start --runtime docker --workspace /w"),
        (["status"], "status"),
        (["stop"], "stop"),
        (["logs", "git-plugin"], "logs git"),
        (["logs", "git-gateway"], "logs git-gateway"),
    ],
)
def test_run_is_thin(spied: Checkout, arguments: list[str], call: str) -> None:
    spied.claude.with_name("spy.running").touch()
    assert spied.calls("run.sh", *arguments, WORKSPACE="/w") == [call]


def test_run_goes_by_the_saved_settings(spied: Checkout) -> None:
    (spied.root / ".env").write_text("CLAUDE_HOME='/h'\nWORKSPACE='/a b'\n")
    assert spied.calls("run.sh", "start") == ["--home /h start --runtime docker --workspace /a b"]


@pytest.mark.parametrize("arguments", [["nonsense"], ["logs"], ["stop", "now"]])
def test_run_explains_itself(spied: Checkout, arguments: list[str]) -> None:
    done = spied.run("run.sh", *arguments)
    assert done.returncode == 2
    assert "scripts/run.sh start" in done.stderr


def test_run_without_an_installation_says_what_to_do(checkout: Checkout) -> None:
    checkout.claude = checkout.root / "missing"
    done = checkout.run("run.sh", "status")
    assert done.returncode == 1
    assert "scripts/install.sh" in done.stderr

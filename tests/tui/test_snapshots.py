"""What each screen looks like. After a wanted change: pytest tests/tui/test_snapshots.py --snapshot-update"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from plugins.base.control import Isolation
from supervisor.status import PolicyStatus
from tests.tui.desk import Driver
from tests.tui.fake import NOW, FakeBackend, plugin, request, row, status
from tui.app import DeskApp
from tui.backend import Desk

Compare = Callable[..., bool]
LARGE, SMALL = (120, 40), (80, 24)


def busy(logs: Path) -> FakeBackend:
    plugins = (
        plugin("git"),
        plugin(
            "npm", commands=88, blocked=0, rate=0.0, restarts=2,
            isolation=Isolation(seccomp=True, missing=("Landlock: the kernel has none",)),
        ),
        plugin("gh", state="stopped", wanted=False, started=None, reason="Stopped by the operator."),
    )  # fmt: skip
    requests = (
        request(),
        request("w3x8y2zz", args=("push", "origin", "HEAD:main"), waiting=0, deadline=None, count=1),
        request(
            "a1b2c3d4", state="denied", waiting=0, deadline=None, answered=NOW - 200,
            args=("push", "--mirror"), answer_reason="Push one branch at a time.",
        ),
    )  # fmt: skip
    backend = FakeBackend(logs, status=status(plugins=plugins, requests_open=2), requests=requests)
    backend.audit += [
        row(101, verdict="held", args=("push", "--force", "origin", "main"), rule="allow_force_push"),
        row(102, verdict="denied", args=("push", "--mirror"), rule="allow_force_push", layer="hook"),
        row(103, plugin="gh", verdict="info", args=(), reason="Stopped.", layer="supervisor"),
    ]
    return backend


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Relative, as its name is on the screen."""
    monkeypatch.chdir(tmp_path)
    directory = Path("logs")
    directory.mkdir()
    (directory / "supervisor.log").write_text(
        "10:14:01 INFO Started on /home/dev/project.\n10:14:02 WARNING Plugin npm ended with status 1.\n"
    )
    (directory / "git.log").write_text("10:14:01 INFO Ready: git version 2.39.5.\n")
    return directory


def after(*keys: str, see: str) -> Callable[[Pilot[None]], Awaitable[None]]:
    """Press the keys, and wait for what must then be on the screen."""

    async def prepare(pilot: Pilot[None]) -> None:
        app: Any = pilot.app
        driver = Driver(app, pilot, app.feed.backend)
        await driver.sees("operator")
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.05)
        await driver.sees(see)
        for field in app.screen.query("TextArea, Input"):
            field.cursor_blink = False  # a blinking cursor is in no certain phase
        await driver.settles()

    return prepare


@pytest.mark.parametrize("size", [LARGE, SMALL], ids=["large", "small"])
@pytest.mark.parametrize(
    ("keys", "see"),
    [
        pytest.param((), "push --mirror", id="dashboard"),
        pytest.param(("2",), "blocked_branches, git.yaml:4", id="approvals"),
        pytest.param(("3",), "103 rows", id="audit"),
        pytest.param(("4", "enter", "end", "enter", *"wrong"), "2:3", id="policy"),
        pytest.param(("5",), "following", id="logs"),
        pytest.param(("question_mark",), "Everywhere", id="help"),
    ],
)
def test_screen(
    snap_compare: Compare, logs: Path, keys: tuple[str, ...], see: str, size: tuple[int, int]
) -> None:
    if keys == ("question_mark",) and size == SMALL:
        see = "Moving"
    assert snap_compare(DeskApp(busy(logs)), terminal_size=size, run_before=after(*keys, see=see))


def test_light_theme(snap_compare: Compare, logs: Path) -> None:
    assert snap_compare(DeskApp(busy(logs)), terminal_size=LARGE, run_before=after("T", see="push --mirror"))


def test_lockdown_and_an_invalid_policy(snap_compare: Compare, logs: Path) -> None:
    backend = busy(logs)
    invalid = PolicyStatus(state="invalid", problems=("git.yaml:4:3: Unknown key 'block_branches'.",))
    backend.current = Desk(
        link="connected", newest=103,
        status=status(lockdown="Back at nine.", plugins=(plugin(policy=invalid),), operators=0),
    )  # fmt: skip
    assert snap_compare(DeskApp(backend), terminal_size=SMALL, run_before=after(see="Back at nine."))


def test_approving(snap_compare: Compare, logs: Path) -> None:
    run_before = after("2", "a", see="Approve?")
    assert snap_compare(DeskApp(busy(logs)), terminal_size=SMALL, run_before=run_before)


def test_disconnected_before_anything_was_seen(snap_compare: Compare) -> None:
    backend = FakeBackend()
    backend.current = Desk(link="lost", problem="Start it with: claude-container start")

    async def lost(pilot: Pilot[None]) -> None:
        app: Any = pilot.app
        await Driver(app, pilot, backend).sees("DISCONNECTED")

    assert snap_compare(DeskApp(backend), terminal_size=SMALL, run_before=lost)

"""The real backend on a real supervisor, without plugins."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from plugins.base.errors import ClaudeContainerError
from supervisor.api.client import Client
from supervisor.audit.reader import AuditFilter
from supervisor.daemon import EmbeddedSupervisor
from supervisor.home import Home
from supervisor.policies.store import PolicyConflict
from supervisor.status import Request
from tests.tui.desk import open_live_desk
from tui.backend import Desk
from tui.live import LiveBackend

_POLICY = "plugin: cat\nversion: 1\nrules: {blocked_subcommands: [--help]}\n"


@pytest.fixture
def home() -> Iterator[Home]:
    """Short, as paths of sockets must be; its config directory exists, so that no default policy comes."""
    root = Path(tempfile.mkdtemp(prefix="cc-", dir="/tmp")).resolve()
    home = Home(root / "h")
    home.create()
    yield home
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def workspace(home: Home) -> Path:
    path = home.root.parent / "project"
    path.mkdir()
    return path


class Followed:
    """A backend being followed, and what it told."""

    def __init__(self, backend: LiveBackend) -> None:
        self.backend = backend
        self.desk = Desk()
        self._changed = asyncio.Event()

    def tell(self, desk: Desk) -> None:
        self.desk = desk
        self._changed.set()

    async def until(self, condition: Callable[[Desk], object]) -> Desk:
        async with asyncio.timeout(20):
            while not condition(self.desk):
                self._changed.clear()
                await self._changed.wait()
        return self.desk


@asynccontextmanager
async def followed(backend: LiveBackend) -> AsyncIterator[Followed]:
    told = Followed(backend)
    following = asyncio.create_task(backend.follow(told.tell))
    try:
        yield told
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await asyncio.to_thread(backend.close)


@asynccontextmanager
async def supervisor(home: Home, workspace: Path) -> AsyncIterator[EmbeddedSupervisor]:
    running = EmbeddedSupervisor(home, workspace)
    await asyncio.to_thread(running.start)
    try:
        yield running
    finally:
        await asyncio.to_thread(running.stop)


async def test_attaches_as_an_operator_to_the_supervisor_that_runs(home: Home, workspace: Path) -> None:
    async with supervisor(home, workspace), followed(LiveBackend(home, workspace)) as told:
        desk = await told.until(lambda desk: desk.status and desk.status.operators == 1)
        assert desk.link == "connected"
        assert not told.backend.embedded


async def test_starts_a_supervisor_when_none_runs_and_ends_it_again(home: Home, workspace: Path) -> None:
    async with followed(LiveBackend(home, workspace)) as told:
        desk = await told.until(lambda desk: desk.link == "connected")
        assert desk.status is not None
        assert desk.status.workspace == str(workspace)
        assert told.backend.embedded
    assert not home.api_socket.exists()


async def test_says_so_when_the_supervisor_goes_away_and_attaches_again(home: Home, workspace: Path) -> None:
    async with followed_after_start(home, workspace) as (told, running):
        await asyncio.to_thread(running.stop)
        desk = await told.until(lambda desk: desk.link == "lost")
        assert "claude-container start" in desk.problem
        with pytest.raises(ClaudeContainerError, match="no connection"):
            await told.backend.lockdown(True, "")
        async with supervisor(home, workspace):
            await told.until(lambda desk: desk.link == "connected")


@asynccontextmanager
async def followed_after_start(
    home: Home, workspace: Path
) -> AsyncIterator[tuple[Followed, EmbeddedSupervisor]]:
    async with supervisor(home, workspace) as running, followed(LiveBackend(home, workspace)) as told:
        await told.until(lambda desk: desk.link == "connected")
        yield told, running


async def test_a_lockdown_shows_in_the_status_and_in_the_audit_log(home: Home, workspace: Path) -> None:
    async with followed_after_start(home, workspace) as (told, _):
        before = told.desk.newest
        await told.backend.lockdown(True, "Back at nine.")
        desk = await told.until(lambda desk: desk.status and desk.status.lockdown and desk.newest > before)
        assert desk.status is not None
        assert desk.status.lockdown == "Back at nine."
        matches = told.backend.matches(AuditFilter())
        rows = await asyncio.to_thread(lambda: matches.rows(0, matches.count()))
        assert any("Back at nine." in row.event.reason for row in rows)
        await told.backend.lockdown(False, "")
        await told.until(lambda desk: desk.status and desk.status.lockdown is None)


async def test_saving_over_a_file_that_changed_is_a_conflict(home: Home, workspace: Path) -> None:
    async with followed_after_start(home, workspace) as (told, _):
        backend = told.backend
        home.policy_file("cat").write_text(_POLICY)
        file = await asyncio.to_thread(backend.read_policy, "cat")
        home.policy_file("cat").write_text(f"{_POLICY}# theirs\n")
        with pytest.raises(PolicyConflict):
            await backend.save_policy("cat", file.text + "# mine\n", file.hash)
        assert "# theirs" in home.policy_file("cat").read_text()


def test_tells_the_problems_of_a_policy_with_their_places(home: Home, workspace: Path) -> None:
    problems = LiveBackend(home, workspace).check_policy("git", "plugin: git\nversion: 1\nrulez: {}\n")
    assert [problem.line for problem in problems] == [1, 3]


def test_an_empty_home_has_no_rows_no_logs_and_no_policies(home: Home, workspace: Path) -> None:
    backend = LiveBackend(home, workspace)
    assert backend.matches(AuditFilter()).count() == 0
    assert backend.latest(AuditFilter(), 10) == []
    assert backend.newest_row() == 0
    assert list(backend.log_files()) == []
    assert list(backend.policy_names()) == []


async def test_exports_rows_to_a_new_file_only(home: Home, workspace: Path) -> None:
    async with followed_after_start(home, workspace) as (told, _):
        await told.until(lambda desk: desk.newest > 0)
        target = home.root / "audit.jsonl"
        assert await asyncio.to_thread(told.backend.export, AuditFilter(), target) > 0
        with pytest.raises(ClaudeContainerError, match="Cannot write"):
            await asyncio.to_thread(told.backend.export, AuditFilter(), target)


async def test_a_supervisor_that_cannot_start_ends_the_desk_with_the_reason(
    home: Home, workspace: Path
) -> None:
    missing = workspace / "gone"
    async with open_live_desk(LiveBackend(home, missing)) as driver:
        await driver.until(lambda: driver.app.feed.failure)
        assert driver.app.feed.failure is not None
        assert "gone" in driver.app.feed.failure.message
        assert driver.app.return_code == 1


async def test_requests_that_cannot_be_read_are_said_and_hide_nothing_else(
    home: Home, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreadable(self: Client) -> list[Request]:
        raise ClaudeContainerError("The disk is full.")

    async with supervisor(home, workspace):
        with monkeypatch.context() as patched:
            patched.setattr(Client, "requests", unreadable)
            async with followed(LiveBackend(home, workspace)) as told:
                desk = await told.until(lambda desk: desk.problem)
                assert (desk.link, desk.problem) == ("connected", "The disk is full.")
                assert desk.status is not None
                patched.undo()
                await told.backend.lockdown(True, "wait")  # something to be told of
                await told.until(lambda desk: not desk.problem)

"""An engine that is killed, hangs, or is out of disk: everything comes back, without a new supervisor."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from supervisor.api.client import Client
from supervisor.audit.reader import AuditFilter, AuditReader
from supervisor.containers import events as container_events
from supervisor.containers.engine import connect
from supervisor.containers.names import image
from supervisor.containers.runtime import DockerRuntime
from supervisor.status import Status
from tests.supervisor.containers.docker.own_engine import OwnEngine, own_engine
from tests.supervisor.containers.docker.test_docker_supervised import PATIENCE, command, running, runs, set_up
from tests.supervisor.harness import Place, scratch, status_when, supervised

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.xdist_group("own-engine"),
    # The SDK leaves sockets open on which it failed to connect.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def engine_with_image(version: str) -> Iterator[OwnEngine]:
    with own_engine() as engine:
        engine.start()
        engine.load(image("git", version))
        engine.stop()
        yield engine


@pytest.fixture
def own(engine_with_image: OwnEngine) -> Iterator[OwnEngine]:
    """An engine that does not run."""
    yield engine_with_image
    if engine_with_image.running:
        engine_with_image.clear()
        engine_with_image.stop()


@pytest.fixture
def project(own: OwnEngine) -> Iterator[Place]:
    with scratch() as place:
        yield set_up(place)


@asynccontextmanager
async def contained(place: Place, own: OwnEngine, version: str) -> AsyncIterator[Client]:
    runtime = DockerRuntime(place[0], version=version, engine=lambda: connect(own.url, patience=20))
    async with supervised(*place, runtime) as client:
        yield client


async def warned(client: Client, text: str) -> Status:
    return await status_when(
        client, lambda s: any(text in warning for warning in s.warnings), seconds=PATIENCE
    )


async def works_again(client: Client) -> Status:
    return await status_when(client, lambda s: runs(s) and not s.warnings, seconds=PATIENCE)


def pids(status: Status) -> list[int | None]:
    return [plugin.pid for plugin in status.plugins]


async def test_an_engine_that_is_not_there_yet_is_named_and_used_as_soon_as_it_is(
    project: Place, own: OwnEngine, version: str
) -> None:
    async with contained(project, own, version) as client:
        status = await warned(client, "container engine")
        assert {plugin.state for plugin in status.plugins} <= {"starting", "backoff"}
        await asyncio.to_thread(own.start)
        await works_again(client)
        assert (await command(project, "rev-parse", "--git-dir"))["exit_code"] == 0


class Agent:
    """Gives one command after the other, each with a mark of its own, whatever becomes of them."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.answered: list[str] = []
        self.failed: list[str] = []

    async def work(self) -> None:
        for number in itertools.count():
            mark = f"refs/heads/mark-{number}"
            try:
                await command(self._place, "rev-parse", "--verify", "-q", mark)
            except (OSError, asyncio.IncompleteReadError):  # the plugin ended, or is not there
                self.failed.append(mark)
                await asyncio.sleep(0.02)
            else:
                self.answered.append(mark)

    async def goes_on(self) -> None:
        """Wait until some more commands were answered that are given from now on."""
        count = len(self.answered)
        async with asyncio.timeout(PATIENCE):
            while len(self.answered) < count + 5:  # noqa: ASYNC110 -- `work` goes on meanwhile
                await asyncio.sleep(0.02)


def times_recorded(place: Place) -> Counter[str]:
    """How many rows each mark has in the audit log."""
    reader = AuditReader(place[0].audit_db)
    try:
        rows = [row.event for row in reader.rows(AuditFilter(), 0, 100_000)]
    finally:
        reader.close()
    assert len({event.id for event in rows}) == len(rows)
    return Counter(event.args[-1] for event in rows if event.args[:1] == ("rev-parse",))


async def test_a_killed_engine_takes_its_containers_along_and_all_come_back_with_every_event(
    project: Place, own: OwnEngine, version: str
) -> None:
    await asyncio.to_thread(own.start)
    agent = Agent(project)
    async with contained(project, own, version) as client, asyncio.TaskGroup() as tasks:
        before = await running(client)
        working = tasks.create_task(agent.work())
        await agent.goes_on()
        own.kill()
        meanwhile = await warned(client, "container engine")
        assert all(map(alive, pids(meanwhile)))  # an engine's end alone ends nothing
        await agent.goes_on()
        await asyncio.to_thread(own.start)
        after = await works_again(client)
        assert not set(pids(before)) & set(pids(after))
        await agent.goes_on()
        working.cancel()
    recorded = times_recorded(project)  # the supervisor ended: it has got everything that there was
    assert [mark for mark in agent.answered if recorded[mark] != 1] == []
    assert [mark for mark in agent.failed if recorded[mark] > 1] == []


async def test_where_containers_outlive_the_engine_they_are_the_same_afterwards(
    project: Place, own: OwnEngine, version: str
) -> None:
    await asyncio.to_thread(own.start, live_restore=True)
    async with contained(project, own, version) as client:
        before = await running(client)
        own.kill()
        await warned(client, "container engine")
        await asyncio.to_thread(own.start, live_restore=True)
        after = await works_again(client)
        assert pids(after) == pids(before)
        assert not any(plugin.restarts for plugin in after.plugins)


async def test_what_ended_while_the_engine_was_away_is_started_again(
    project: Place, own: OwnEngine, version: str
) -> None:
    await asyncio.to_thread(own.start, live_restore=True)
    async with contained(project, own, version) as client:
        before = await running(client)
        own.kill()
        await warned(client, "container engine")
        os.kill(before.plugins[0].pid or 0, signal.SIGKILL)
        await asyncio.to_thread(own.start, live_restore=True)
        after = await works_again(client)
        assert pids(after)[0] != pids(before)[0]
        assert pids(after)[1] == pids(before)[1]


async def test_an_engine_that_hangs_is_named_and_plugins_go_on(
    project: Place, own: OwnEngine, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container_events, "_SILENCE", 0.2)
    await asyncio.to_thread(own.start)
    async with contained(project, own, version) as client:
        before = await running(client)
        own.send(signal.SIGSTOP)
        await warned(client, "does not answer in time")
        assert (await command(project, "rev-parse", "--git-dir"))["exit_code"] == 0
        own.send(signal.SIGCONT)
        assert pids(await works_again(client)) == pids(before)


async def test_a_full_disk_is_named_and_plugins_start_when_there_is_room_again(
    project: Place, own: OwnEngine, version: str
) -> None:
    await asyncio.to_thread(own.start)
    filler = own.disk / "filler"
    await asyncio.to_thread(fill, filler)
    async with contained(project, own, version) as client:
        await status_when(
            client, lambda s: any("disk is full" in p.reason for p in s.plugins), seconds=PATIENCE
        )
        filler.unlink()
        await works_again(client)


def fill(path: Path) -> None:
    """Leave no room on its disk."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1024 * 1024))
        except OSError:
            pass


def alive(pid: int | None) -> bool:
    return pid is not None and Path(f"/proc/{pid}").exists()

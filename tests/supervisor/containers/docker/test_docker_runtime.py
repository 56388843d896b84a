"""Plugins as containers that outlive whoever started them."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from plugins.base.errors import ClaudeContainerError
from supervisor.containers import facts as containers
from supervisor.containers.calls import ContainerCalls
from supervisor.containers.engine import Engine
from supervisor.containers.events import Ended
from supervisor.containers.instance import ContainerInstance
from supervisor.containers.names import LABEL_INSTANCE, image, instance_of
from supervisor.containers.network_facts import inner_network
from supervisor.containers.runtime import DockerRuntime
from supervisor.gateways import Doors
from supervisor.home import Home
from supervisor.runtimes.runtime import Exit
from supervisor.start_config import StartConfigs
from tests.supervisor.containers.docker.conftest import calls, networks
from tests.supervisor.harness import Place

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("engine")]

DOORS = Doors("http://127.0.0.1:8123/capability", "127.0.0.1:8124")


class Here:
    """Gateways: git's."""

    def doors(self, tool: str) -> Doors:
        return DOORS if tool == "git" else Doors()

    def module(self, plugin: str) -> str:
        return "plugins.base"


WAIT = """import signal
signal.signal(15, lambda *_: exit(3))
print('there', flush=True)
while 1: signal.pause()"""
COUNT = """import time, itertools
for n in itertools.count():
    print('line', n, flush=True); time.sleep(0.01)"""


@asynccontextmanager
async def runtime(place: Place, version: str, program: str = WAIT) -> AsyncIterator[DockerRuntime]:
    command = (containers.PYTHON, "-P", "-c", program)
    made = DockerRuntime(place[0], version=version, command=command)
    try:
        yield made
    finally:
        await made.close()


def configs(place: Place) -> StartConfigs:
    return StartConfigs(place[0], place[1], os.environ["PATH"], gateways=Here())


async def logged(home: Home, text: str, plugin: str = "git") -> str:
    """The plugin's log, as soon as it has the text."""
    path = home.logs / f"{plugin}.log"
    async with asyncio.timeout(60):
        while not path.exists() or text not in path.read_text():  # noqa: ASYNC110 - another thread writes
            await asyncio.sleep(0.02)
    return path.read_text()


async def end(instance: ContainerInstance) -> Exit:
    instance.kill()
    return await instance.wait()


async def test_an_end_is_seen_with_exit_status_and_last_words_and_the_container_goes(
    place: Place, version: str, engine: Engine
) -> None:
    async with runtime(place, version, "print('no such luck'); raise SystemExit(7)") as docker:
        instance = await docker.start(configs(place).make("git"))
        assert await instance.wait() == Exit(code=7)
        assert await instance.wait() == Exit(code=7)
        assert docker.last_words("git") == "no such luck"
        assert calls(engine, place[0]).all() == []
        assert await docker.found() == ()


async def test_last_words_are_kept_of_one_that_ends_before_its_start_is_done(
    place: Place, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, start, ended = threading.Event(), ContainerCalls.start, DockerRuntime.ended

    def start_slowly(calls: ContainerCalls, identity: str) -> None:
        start(calls, identity)
        assert told.wait(60)

    def tell(docker: DockerRuntime, event: Ended) -> None:
        ended(docker, event)
        told.set()

    monkeypatch.setattr(ContainerCalls, "start", start_slowly)
    monkeypatch.setattr(DockerRuntime, "ended", tell)
    async with runtime(place, version, "print('no such luck')") as docker:
        instance = await docker.start(configs(place).make("git"))
        assert await instance.wait() == Exit(code=0)
        assert docker.last_words("git") == "no such luck"


async def test_signals_reach_it_and_an_end_by_one_is_seen_as_that(place: Place, version: str) -> None:
    async with runtime(place, version) as docker:
        instance = await docker.start(configs(place).make("git"))
        await logged(place[0], "there")
        instance.terminate()
        assert await instance.wait() == Exit(code=3)
        instance.kill()  # harmless now
        again = await docker.start(configs(place).make("git"))
        assert await end(again) == Exit(signal=9)


async def test_too_much_memory_is_named_as_the_reason(
    place: Place, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = containers.of_plugin

    def small(*args: object) -> containers.Container:
        made = make(*args)  # type: ignore[arg-type]
        return replace(made, memory_bytes=32 * 1024 * 1024)

    monkeypatch.setattr(containers, "of_plugin", small)
    async with runtime(place, version, "all = [bytearray(b'x' * 2**20) for _ in range(200)]") as docker:
        instance = await docker.start(configs(place).make("git"))
        found = await instance.wait()
        assert found == Exit(signal=9, out_of_memory=True)
        assert "more memory" in str(found)


async def test_what_is_removed_by_hand_has_ended(place: Place, version: str, engine: Engine) -> None:
    async with runtime(place, version) as docker:
        instance = await docker.start(configs(place).make("git"))
        await asyncio.to_thread(engine.api.remove_container, instance.identity, force=True)
        assert (await instance.wait()).code is None


async def test_it_starts_with_the_configuration_as_it_reads_inside(place: Place, version: str) -> None:
    program = "import sys; print('start', open(sys.argv[1]).read().replace(chr(10), ''))\n" + WAIT
    async with runtime(place, version, program) as docker:
        config = configs(place).make("git")
        instance = await docker.start(config)
        line = next(x for x in (await logged(place[0], "start {")).splitlines() if x.startswith("start "))
        inside = json.loads(line.removeprefix("start "))
        assert inside["workspace"] == "/workspace"
        assert inside["token"] == config.token
        assert inside["gateway"].startswith("http://10.213.")
        file = place[0].container_start("git") / "start.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert str(place[0].root) not in file.read_text()
        await end(instance)


async def test_one_that_runs_is_adopted_and_its_log_goes_on_without_gap_or_repetition(
    place: Place, version: str
) -> None:
    async with runtime(place, version, COUNT) as docker:
        started = await docker.start(configs(place).make("git"))
        await logged(place[0], "line 20\n")
    async with runtime(place, version, COUNT) as docker:
        assert await docker.found() == ("git",)
        adopted = await docker.adopt("git")
        assert adopted is not None
        assert (adopted.identity, adopted.pid) == (started.identity, started.pid)
        assert adopted.config == started.config
        assert abs(adopted.started - started.started) < 30
        seen = len((place[0].logs / "git.log").read_text().splitlines())
        text = await logged(place[0], f"line {seen + 100}\n")
        lines = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
        assert lines == [f"line {n}\n" for n in range(len(lines))]
        assert await end(adopted) == Exit(signal=9)


async def test_one_that_would_be_made_of_something_else_now_is_ended_not_adopted(
    place: Place, version: str, engine: Engine
) -> None:
    async with runtime(place, version) as docker:
        await docker.start(configs(place).make("git"))
    async with runtime(place, version, WAIT + "  # newer") as docker:
        assert await docker.adopt("git") is None
        assert calls(engine, place[0]).all() == []


async def test_a_container_that_is_not_ours_is_left_alone_whatever_its_name(
    place: Place, version: str, engine: Engine
) -> None:
    name = f"claude-container-{instance_of(place[0])}-git"
    foreign = engine.api.create_container(image("git", version), ["/none"], name=name)["Id"]
    try:
        async with runtime(place, version) as docker:
            with pytest.raises(ClaudeContainerError, match="not ours"):
                await docker.start(configs(place).make("git"))
            assert await docker.adopt("git") is None
        assert engine.api.inspect_container(foreign)["Id"] == foreign
    finally:
        engine.api.remove_container(foreign)


async def test_two_projects_do_not_see_each_other(
    place: Place, other_place: Place, version: str, engine: Engine
) -> None:
    async with runtime(place, version) as one, runtime(other_place, version) as other:
        first = await one.start(configs(place).make("git"))
        second = await other.start(configs(other_place).make("git"))
        assert first.identity != second.identity
        assert await one.found() == await other.found() == ("git",)
        assert await end(first) == Exit(signal=9)
        assert [found.id for found in calls(engine, other_place[0]).all()] == [second.identity]
        assert calls(engine, place[0]).look(second.identity) is None
        await end(second)


async def test_a_subnet_that_is_taken_gives_way_to_another(
    place: Place, version: str, engine: Engine
) -> None:
    instance = instance_of(place[0])
    taken = inner_network(instance, "git").subnet
    pool = {"Driver": "default", "Config": [{"Subnet": taken}]}
    blocking = engine.api.create_network(f"test-{instance}", ipam=pool)["Id"]
    try:
        network = networks(engine, place[0]).inner("git")
        assert network.subnet == inner_network(instance, "git", 1).subnet
        assert networks(engine, place[0]).inner("git") == network
        networks(engine, place[0]).remove_unused()
        assert engine.api.networks(filters={"label": f"{LABEL_INSTANCE}={instance}"}) == []
    finally:
        engine.api.remove_network(blocking)


async def test_cpu_and_memory_are_the_containers_own(place: Place, version: str) -> None:
    async with runtime(place, version) as docker:
        instance = await docker.start(configs(place).make("git"))
        await logged(place[0], "there")
        first = await instance.sample(None)
        assert first is not None
        assert 1024 * 1024 < first.memory_bytes < 1024**3
        second = await instance.sample(first)
        assert second is not None
        assert second.cpu_percent is not None
        await end(instance)


async def test_an_image_that_is_not_built_is_named(place: Place) -> None:
    async with runtime(place, "none-such") as docker:
        with pytest.raises(ClaudeContainerError, match="git:none-such is not built") as caught:
            await docker.start(configs(place).make("git"))
    assert "claude-container build git" in caught.value.hint

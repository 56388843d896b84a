"""Plugins as processes that outlive whoever started them."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from pathlib import Path

import pytest

from plugins.base.errors import ClaudeContainerError
from supervisor.runtimes import procfs
from supervisor.runtimes.process import ProcessRuntime
from supervisor.runtimes.runtime import Exit
from supervisor.start_config import StartConfigs
from tests.supervisor.harness import Place


def runtime(place: Place, program: str) -> ProcessRuntime:
    return ProcessRuntime(place[0], command=(sys.executable, "-P", "-c", program))


def configs(place: Place) -> StartConfigs:
    return StartConfigs(place[0], place[1], os.environ["PATH"])


WAIT = "import signal; signal.pause()"


async def test_an_end_is_seen_with_its_exit_status(place: Place) -> None:
    instance = await runtime(place, "raise SystemExit(7)").start(configs(place).make("tool"))
    assert await instance.wait() == Exit(code=7)
    assert await instance.wait() == Exit(code=7)
    assert str(Exit(code=7)) == "ended with exit status 7"


async def test_an_end_by_a_signal_is_seen_as_that(place: Place) -> None:
    instance = await runtime(place, WAIT).start(configs(place).make("tool"))
    instance.terminate()
    found = await instance.wait()
    assert found == Exit(signal=15)
    assert str(found) == "was ended by SIGTERM"
    instance.kill()  # harmless now


async def test_it_runs_in_a_session_of_its_own_with_nothing_inherited_and_default_signals(
    place: Place,
) -> None:
    # All of the program is read before it says that it is there.
    program = "import signal; print('there', flush=True); signal.pause()"
    with (place[1] / "secret").open("w") as left_open:
        os.set_inheritable(left_open.fileno(), True)
        instance = await runtime(place, program).start(configs(place).make("tool"))
    while not (place[0].logs / "tool.log").read_text():  # noqa: ASYNC110 - another process writes
        await asyncio.sleep(0.01)
    assert os.getsid(instance.pid) == instance.pid
    links = {fd.name: os.readlink(fd) for fd in Path(f"/proc/{instance.pid}/fd").iterdir()}
    log = str(place[0].logs / "tool.log")
    assert links == {"0": "/dev/null", "1": log, "2": log}
    await end(instance)


async def end(instance: object) -> None:
    instance.kill()  # type: ignore[attr-defined]
    await instance.wait()  # type: ignore[attr-defined]


async def test_the_start_file_is_private_and_holds_the_configuration(place: Place) -> None:
    config = configs(place).make("tool")
    instance = await runtime(place, WAIT).start(config)
    file = Path(config.state) / "start.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["token"] == config.token
    await end(instance)


async def test_one_that_runs_is_adopted_and_its_end_is_seen(place: Place) -> None:
    first = runtime(place, WAIT)
    started = await first.start(configs(place).make("tool"))
    await first.close()
    second = runtime(place, WAIT)
    assert await second.found() == ("tool",)
    adopted = await second.adopt("tool")
    assert adopted is not None
    assert (adopted.pid, adopted.config) == (started.pid, started.config)
    assert abs(adopted.started - started.started) < 2
    adopted.kill()
    await adopted.wait()
    assert await second.adopt("tool") is None


async def test_a_number_that_another_process_has_now_is_not_adopted(place: Place) -> None:
    instance = await runtime(place, WAIT).start(configs(place).make("tool"))
    record = Path(instance.config.state) / "process.json"
    true = json.loads(record.read_text())
    for lie in ({"start": true["start"] + 1}, {"boot": "another"}, {"pid": os.getpid()}):
        record.write_text(json.dumps({**true, **lie}))
        assert await runtime(place, WAIT).adopt("tool") is None
    record.write_text("[]")
    assert await runtime(place, WAIT).adopt("tool") is None
    await end(instance)


async def test_a_supervisor_that_dies_while_it_starts_a_plugin_leaves_nothing_running(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    spawned = []
    spawn = os.posix_spawn

    def remember(*args: object, **kwargs: object) -> int:
        spawned.append(spawn(*args, **kwargs))  # type: ignore[arg-type]
        raise OSError(5, "cut short")

    monkeypatch.setattr(os, "posix_spawn", remember)
    with pytest.raises(ClaudeContainerError, match="tool cannot be started: cut short"):
        await runtime(place, WAIT).start(configs(place).make("tool"))
    assert os.waitpid(spawned[0], 0)[1] != 0  # noqa: ASYNC222


async def test_a_log_that_has_grown_large_is_moved_away(place: Place) -> None:
    log = place[0].logs / "tool.log"
    log.write_bytes(b"x" * (5 * 1024 * 1024))
    instance = await runtime(place, "print('new')").start(configs(place).make("tool"))
    await instance.wait()
    assert log.read_text() == "new\n"
    assert (place[0].logs / "tool.log.1").stat().st_size == 5 * 1024 * 1024


def test_what_proc_says_of_this_process_and_of_none() -> None:
    found = procfs.stat(os.getpid())
    assert found is not None
    assert found.state == "R"
    assert found.memory > 0
    assert procfs.tree(os.getpid())[0] == os.getpid()
    assert procfs.stat(2**22 + 1) is None
    assert procfs.children(2**22 + 1) == []

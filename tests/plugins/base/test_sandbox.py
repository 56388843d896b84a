"""Code planted in a repository, run by the real git: the worker holds it, and nothing else does.

The probe is one program that tries every way out. It runs twice, from the same place in the same
repository: the run outside the sandbox shows that each attempt is one that would work.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from plugins.base.errors import WorkerError
from plugins.base.sandbox import available_isolation
from plugins.base.sandbox.calls import JUDGED, REFUSED
from tests.plugins.base.workers import (
    GIT,
    PATH,
    Bench,
    Place,
    a_place,
    a_worker,
    needs_whole_sandbox,
    started,
)

PROBE: Final = Path(__file__).with_name("planted_probe.py")
ATTEMPTS: Final = {
    "read", "list", "write", "replace", "tcp", "unix", "abstract", "signal", "pidfd", "limit", "ptrace",
    "memory", "environ",
}  # fmt: skip
# How git is made to run what is planted: a preparation, then an innocent command.
WAYS: Final = {
    "fsmonitor": ("git config core.fsmonitor $PLANTED", "git status"),
    "clean": ("git config filter.x.clean $PLANTED", "echo more >>a; git add a"),
    "smudge": ("git config filter.x.smudge $PLANTED", "rm -f b; git restore b"),
    "alias": ("git config alias.planted !$PLANTED", "git planted"),
    "hook": ("cp $PLANTED .git/hooks/pre-commit", "git commit --allow-empty -m x"),
    "editor": ("git config core.editor $PLANTED", "git commit --allow-empty"),
    "helper": ("git config credential.helper $PLANTED", "echo url=https://h | git credential fill"),
}  # fmt: skip
REPOSITORY: Final = """
set -e
git init -q .
echo b >b; git add b; git commit -qm b; rm b
echo a >a
echo '* filter=x' >.git/info/attributes
PLANTED=$PWD/.git/planted
printf '#!/bin/sh\nexec python3 %s/probe.py\n' "$PWD" >$PLANTED
chmod +x $PLANTED
"""

_PR_SET_PTRACER: Final = 0x59616D61
_MEMORY: Final = ctypes.create_string_buffer(b"a secret of the server")


def listening(stack: ExitStack, family: int, address: Any) -> socket.socket:
    sock = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
    sock.bind(address)
    sock.listen(64)
    return sock


@pytest.fixture
def place() -> Iterator[Place]:
    with a_place() as place, ExitStack() as stack:
        tcp = listening(stack, socket.AF_INET, ("127.0.0.1", 0))
        other = listening(stack, socket.AF_INET, ("127.0.0.1", 0))
        listening(stack, socket.AF_UNIX, str(place.outside / "control.sock"))
        (place.outside / "secret").write_text("secret")
        (place.outside / "replaced").touch()
        abstract = f"cc-test-{place.root.name}"
        listening(stack, socket.AF_UNIX, f"\0{abstract}")
        # Where Yama guards processes from their siblings, this one is declared fair game.
        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(-1 & 0xFFFF_FFFF_FFFF_FFFF), 0, 0, 0)
        values = {
            "outside": str(place.outside), "port": tcp.getsockname()[1], "other_port": other.getsockname()[1],
            "unix": str(place.outside / "control.sock"), "abstract": abstract, "server": os.getpid(),
            "address": ctypes.addressof(_MEMORY), "length": len(_MEMORY),
        }  # fmt: skip
        (place.workspace / "targets.json").write_text(json.dumps(values))
        (place.workspace / "probe.py").write_bytes(PROBE.read_bytes())
        yield place


@pytest.fixture
async def bench(place: Place) -> AsyncIterator[Bench]:
    async with a_worker(place.spec()) as worker:
        yield Bench(place, worker)


def results(place: Place) -> dict[str, str]:
    """What the probe wrote down: for each attempt "done", or why not."""
    path = place.workspace / "results.json"
    found: dict[str, str] = json.loads(path.read_text())
    path.unlink()
    return found


async def outside_the_sandbox(place: Place, script: str) -> None:
    environment = {**GIT, "PATH": PATH, "HOME": str(place.root)}
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", script, cwd=place.workspace, env=environment,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    await process.communicate()


@needs_whole_sandbox
@pytest.mark.parametrize("way", sorted(WAYS))
async def test_planted_code_gets_nowhere(bench: Bench, way: str) -> None:
    place = bench.place
    preparation, command = WAYS[way]
    await outside_the_sandbox(place, REPOSITORY + preparation)

    await bench.sh(command)
    inside = results(place)
    await outside_the_sandbox(place, command)
    outside = results(place)

    assert set(inside) == set(outside) == ATTEMPTS
    assert {name for name, what in inside.items() if what == "done"} == set()
    assert {name: what for name, what in outside.items() if what != "done"} == {}


@needs_whole_sandbox
async def test_nothing_outside_was_changed_by_what_failed(bench: Bench) -> None:
    before = sorted(os.listdir(bench.place.outside))
    await bench.capture("python3", "probe.py")
    assert "done" not in results(bench.place).values()
    assert sorted(os.listdir(bench.place.outside)) == before


@needs_whole_sandbox
async def test_with_a_port_that_port_alone_can_be_reached(place: Place) -> None:
    port = json.loads((place.workspace / "targets.json").read_text())["port"]
    async with a_worker(place.spec(connect_ports=(port,))) as worker:
        await Bench(place, worker).capture("python3", "probe.py")
        found = results(place)
        answer = await Bench(place, worker).capture("python3", "-c", OTHER_NETWORK)
    assert {name for name, what in found.items() if what == "done"} == {"tcp"}
    assert answer.stdout.decode().splitlines() == ["refused"] * 6


OTHER_NETWORK: Final = """
import json, socket
targets = json.load(open("targets.json"))
def attempt(action):
    try:
        action()
    except PermissionError:
        print("refused")
    else:
        print("done")
here = ("127.0.0.1", targets["other_port"])
attempt(lambda: socket.create_connection(here))
attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).sendto(b"x", socket.MSG_FASTOPEN, here))
attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
attempt(lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).bind(("127.0.0.1", 0)))
attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).listen())
"""


@needs_whole_sandbox
async def test_a_socket_that_is_handed_in_connects_nowhere(bench: Bench) -> None:
    """The caller may pass sockets over a stream: in the worker they see the worker's files."""
    receive = """
import json, socket
line = socket.socket(fileno=0)
_, (given,), _, _ = socket.recv_fds(line, 1, 1)
try:
    socket.socket(fileno=given).connect(json.load(open("targets.json"))["unix"])
    line.send(b"connected")
except PermissionError:
    line.send(b"refused")
"""
    ours, theirs = socket.socketpair()
    with ours, theirs, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as given:
        socket.send_fds(ours, [b"x"], [given.fileno()])
        running = await started(
            bench.worker,
            ("python3", "-c", receive),
            cwd=str(bench.place.workspace),
            environment={},
            fds=(theirs.fileno(), 1, 2),
        )
        await running.wait()
        assert ours.recv(20) == b"refused"


async def test_descriptors_of_the_caller_work_wherever_they_lead(bench: Bench) -> None:
    secret, log = bench.place.outside / "secret", bench.place.outside / "log"
    with secret.open("rb") as source, log.open("wb") as sink:
        fds = (source.fileno(), sink.fileno(), sink.fileno())
        running = await started(
            bench.worker, ("cat",), cwd=str(bench.place.workspace), environment={}, fds=fds
        )
        assert (await running.wait()).exit_code == 0
    assert log.read_text() == "secret"


async def test_more_paths_can_be_opened_for_writing(place: Place) -> None:
    upstream = place.root / "upstream"
    upstream.mkdir()
    async with a_worker(place.spec(write=(str(upstream), str(place.root / "missing")))) as worker:
        answer = await Bench(place, worker).sh(
            f"git init -q --bare {upstream}; cd {upstream} && touch x && rm x"
        )
    assert (answer.exit_code, answer.stderr) == (0, b"")


async def test_the_tool_chain_works(bench: Bench) -> None:
    answer = await bench.sh(
        "echo piped | cat /dev/stdin >/dev/null && mktemp && python3 -c 'import json, socket'"
    )
    assert (answer.exit_code, answer.stderr) == (0, b"")


async def test_commands_have_no_privileges_and_no_terminal(bench: Bench) -> None:
    running = await bench.start("sleep", "60")
    status = dict(
        line.split(":\t", 1)
        for line in Path(f"/proc/{running.pid}/status").read_text().splitlines()
        if ":\t" in line
    )
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[capabilities], 16) == 0
    if os.geteuid() == 0:
        assert int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert os.getsid(running.pid) == bench.worker.pid
    assert os.getpgid(running.pid) == running.pid
    running.kill()
    assert (await bench.sh("ulimit -c; : </dev/tty")).stdout == b"0\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
async def test_root_becomes_the_owner_of_the_workspace(place: Place) -> None:
    place.root.chmod(0o755)
    os.chown(place.workspace, 12345, 23456)
    async with a_worker(place.spec()) as worker:
        answer = await Bench(place, worker).sh(
            "id -u; id -g; id -G; touch mine; touch $HOME/x $TMPDIR/x && echo ok"
        )
    assert answer.stdout.split() == [b"12345", b"23456", b"23456", b"ok"]
    assert (place.workspace / "mine").stat().st_uid == 12345


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
async def test_an_owner_who_cannot_reach_the_places_is_told_so(place: Place) -> None:
    os.chown(place.workspace, 12345, 23456)  # the directory above it is root's alone
    with pytest.raises(WorkerError, match="User 12345") as caught:
        async with a_worker(place.spec()):
            pass
    assert "--home" in caught.value.hint


async def test_the_worker_tells_what_holds_it(bench: Bench) -> None:
    available = available_isolation()
    isolation = bench.worker.isolation
    assert (isolation.landlock_abi, isolation.seccomp) == (available.landlock_abi, available.seccomp)
    assert set(isolation.missing) <= set(available.missing)


REFUSED_CALLS: Final = """
import ctypes, errno, os, platform
from ctypes import c_long
libc = ctypes.CDLL(None, use_errno=True)
column = {"x86_64": 0, "aarch64": 1}[platform.machine()]
for numbers, arguments in CALLS:
    ctypes.set_errno(0)
    if libc.syscall(c_long(numbers[column]), *map(c_long, arguments)) != -1:
        print("done", numbers, arguments)
    elif ctypes.get_errno() not in (errno.EPERM, errno.ENOSYS):
        print(os.strerror(ctypes.get_errno()), numbers, arguments)
"""


@needs_whole_sandbox
async def test_the_kernel_enforces_the_filter(bench: Bench) -> None:
    calls = [(numbers, (0,) * 6) for numbers in REFUSED.values() if None not in numbers]
    calls += [
        (JUDGED["clone"], (0x1000_0011, 0, 0, 0, 0, 0)),
        (JUDGED["clone3"], (0,) * 6),
        (JUDGED["ioctl"], (0, 0x5412, 0, 0, 0, 0)),
        (JUDGED["socket"], (1, 1, 0, 0, 0, 0)),
        (JUDGED["connect"], (0,) * 6),
        (JUDGED["prlimit64"], (1, 0, 0, 0, 0, 0)),
    ]
    answer = await bench.capture("python3", "-c", REFUSED_CALLS.replace("CALLS", repr(calls)))
    assert (answer.exit_code, answer.stdout, answer.stderr) == (0, b"", b"")

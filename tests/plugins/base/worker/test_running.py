from __future__ import annotations

import asyncio
import signal
import socket

import pytest

from plugins.base.errors import Denied, ToolMissing
from plugins.base.worker.wire import CHANNEL_VARIABLE
from tests.plugins.base.workers import (
    Bench,
    started,
)


async def test_runs_with_the_callers_own_descriptors(bench: Bench) -> None:
    answer = await bench.sh("cat; echo problem >&2", stdin=b"\0\xff bytes")
    assert (answer.exit_code, answer.stdout, answer.stderr) == (0, b"\0\xff bytes", b"problem\n")


@pytest.mark.parametrize("code", [0, 1, 7, 128, 255])
async def test_tells_the_exit_code(bench: Bench, code: int) -> None:
    ended = await bench.run("sh", "-c", f"exit {code}")
    assert (ended.exit_code, ended.signal) == (code, None)
    assert 0 < ended.duration_ms < 30_000


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGPIPE])
async def test_tells_the_signal_that_ended_a_command(bench: Bench, signum: signal.Signals) -> None:
    ended = await bench.run("sh", "-c", f"kill -{int(signum)} $$")
    assert (ended.exit_code, ended.signal) == (128 + signum, signum)


async def test_arguments_and_variables_are_any_bytes(bench: Bench) -> None:
    strange = b"a b\n\xff\xc3\xa4'\"$".decode("utf-8", "surrogateescape")
    answer = await bench.worker.capture(
        ("sh", "-c", 'printf "%s|%s" "$1" "$STRANGE"', "sh", strange),
        cwd=str(bench.place.workspace),
        environment={"STRANGE": strange},
    )
    raw = strange.encode("utf-8", "surrogateescape")
    assert answer.stdout == raw + b"|" + raw


async def test_the_worker_sets_what_is_its_own(bench: Bench) -> None:
    given = {
        "HOME": "/root",
        "PATH": "/tmp",
        "TMPDIR": "/",
        "XDG_CACHE_HOME": "/",
        "XDG_RUNTIME_DIR": "/",
        "LANG": "C",
    }
    given[CHANNEL_VARIABLE] = "0"
    answer = await bench.worker.capture(("env",), cwd=str(bench.place.workspace), environment=given)
    variables = dict(line.split("=", 1) for line in answer.stdout.decode().splitlines())
    private, spec = bench.place.private, bench.place.spec()
    assert variables.pop("PATH") == spec.path
    assert variables.pop("HOME") == f"{private}/home"
    assert variables.pop("TMPDIR") == f"{private}/tmp"
    assert variables.pop("LANG") == "C"
    assert all(value.startswith(f"{private}/home/") for value in variables.values())
    assert set(variables) == {"XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"}


async def test_the_umask_is_the_callers_and_only_for_this_command(bench: Bench) -> None:
    assert (await (await bench.start("mkdir", "tight", umask=0o077)).wait()).exit_code == 0
    assert (await (await bench.start("mkdir", "usual")).wait()).exit_code == 0
    modes = [(bench.place.workspace / name).stat().st_mode & 0o777 for name in ("tight", "usual")]
    assert modes == [0o700, 0o755]


async def test_runs_64_at_once(bench: Bench) -> None:
    async def one(number: int) -> bytes:
        return (await bench.sh('echo "$1"', str(number))).stdout

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(number)) for number in range(64)]
    assert [task.result() for task in tasks] == [b"%d\n" % number for number in range(64)]


async def test_long_arguments_arrive_whole(bench: Bench) -> None:
    many = [f"{number:0100}" for number in range(10_000)]  # 1 MB: more than the link takes at once
    answers = await asyncio.gather(*(bench.sh('echo "$#"; printf %s "$9"', *many) for _ in range(3)))
    assert [answer.stdout for answer in answers] == [b"10000\n" + many[8].encode()] * 3


async def test_real_git_works(bench: Bench) -> None:
    script = """
    set -e
    git init -q -b main .
    echo one >file; git add file; git commit -qm one
    mkdir sub; git mv file sub/; git commit -qm two; git gc -q
    git log --format=%s
    """
    answer = await bench.sh(script)
    assert (answer.exit_code, answer.stdout, answer.stderr) == (0, b"two\none\n", b"")


async def test_a_tool_that_is_not_there_is_missing(bench: Bench) -> None:
    with pytest.raises(ToolMissing, match="no-such-tool is not installed"):
        await bench.run("no-such-tool")
    with pytest.raises(ToolMissing):
        await bench.run("/usr/bin/no-such-tool")


async def test_what_cannot_be_executed_is_denied(bench: Bench) -> None:
    text = bench.place.workspace / "text"
    text.write_bytes(b"\x01\x02")
    with pytest.raises(Denied, match="cannot be executed"):
        await bench.run(str(text))
    text.chmod(0o755)
    with pytest.raises(Denied, match="not a program"):
        await bench.run(str(text))


@pytest.mark.parametrize(
    ("argv", "environment"),
    [(("echo", "a\0b"), {}), (("echo",), {"A": "\0"}), (("echo",), {"A=B": "c"}), (("echo",), {"": "c"})],
)
async def test_null_bytes_and_nameless_variables_are_denied(
    bench: Bench, argv: tuple[str, ...], environment: dict[str, str]
) -> None:
    with pytest.raises(Denied):
        await bench.worker.capture(argv, cwd=str(bench.place.workspace), environment=environment)


async def test_an_argument_too_long_for_the_system_is_denied(bench: Bench) -> None:
    with pytest.raises(Denied, match="too long"):
        await bench.run("echo", "x" * 3_000_000)
    assert (await bench.run("true")).exit_code == 0


async def test_an_unconnected_unix_socket_is_no_standard_stream(bench: Bench) -> None:
    where = str(bench.place.workspace)
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with (
            socket.socket(socket.AF_UNIX, kind) as sock,
            pytest.raises(Denied, match="not a connected stream"),
        ):
            await started(bench.worker, ("true",), cwd=where, environment={}, fds=(sock.fileno(),) * 3)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        running = await started(
            bench.worker, ("echo", "hi"), cwd=where, environment={}, fds=(theirs.fileno(),) * 3
        )
        await running.wait()
        assert ours.recv(10) == b"hi\n"

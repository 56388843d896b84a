"""What is measured, a function for each row of the table."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from plugins.base.control import AuditEvent
from plugins.base.model import Layer, Verdict
from plugins.base.policy import policy_hash
from supervisor.api.client import Client
from supervisor.audit.reader import AuditFilter, AuditReader
from supervisor.audit.store import AuditStore
from supervisor.daemon import EmbeddedSupervisor
from supervisor.home import Home
from tests.bench import containers
from tests.bench.egress import egress
from tests.bench.gateway import gateway
from tests.bench.harness import Program, all_at_once, interleave, percentile
from tests.bench.rows import Row
from tests.bench.terminal import painted

_AT_ONCE = 64
_EVENTS = 100_000
_ROWS = 1_000_000


@dataclass(frozen=True, slots=True)
class Bench:
    """A running installation on a project, and both ways to call git there."""

    home: Home
    project: Path
    scratch: Path

    def native(self, *arguments: str) -> Program:
        return self._program("git", os.environ["PATH"], arguments)

    def ours(self, *arguments: str) -> Program:
        return self._program("git", f"{self.home.cli}{os.pathsep}{os.environ['PATH']}", arguments)

    def _program(self, name: str, path: str, arguments: tuple[str, ...]) -> Program:
        found = next(
            candidate
            for entry in path.split(os.pathsep)
            if os.access(candidate := f"{entry}/{name}", os.X_OK)
        )
        environment = {
            "PATH": path, "HOME": str(self.scratch), "GIT_CONFIG_NOSYSTEM": "1",
            "PLUGIN_SOCKET_DIR": str(self.home.sockets),
        }  # fmt: skip
        return Program(found, (name, *arguments), environment)


def latency(bench: Bench) -> Iterator[Row]:
    native, ours = bench.native("rev-parse", "HEAD"), bench.ours("rev-parse", "HEAD")
    with _null() as null:
        pair = interleave(
            lambda: native.seconds(stdout=null), lambda: ours.seconds(stdout=null), runs=300, warmup=20
        )
    yield Row(
        "`git rev-parse HEAD` through the wrapper",
        f"{pair.ratio:.2f}x native ({pair.native * 1e3:.2f} ms, {pair.ours * 1e3:.2f} ms)",
        "at most 2.0x", pair.ratio <= 2.0,
    )  # fmt: skip


def streaming(bench: Bench) -> Iterator[Row]:
    from tests.bench.project import object_list

    objects = bench.scratch / "objects"
    object_list(bench.project, objects)
    for name, arguments, stdin in (
        ("git log -p", ("log", "-p"), None),
        ("git cat-file --batch", ("cat-file", "--batch"), str(objects)),
    ):
        native, ours = bench.native(*arguments), bench.ours(*arguments)
        _, size = native.throughput_seconds(stdin_path=stdin)
        pair = interleave(
            partial(_throughput, native, stdin), partial(_throughput, ours, stdin), runs=7, warmup=1,
        )  # fmt: skip
        yield Row(
            f"`{name}`, {size / 1e6:.0f} MB", f"{1 / pair.ratio:.2f}x native throughput",
            "at least 0.95x", 1 / pair.ratio >= 0.95,
        )  # fmt: skip


def concurrency(bench: Bench) -> Iterator[Row]:
    for arguments, budget in (
        (("log", "--stat", "-n", "40"), True),
        (("rev-parse", "HEAD"), False),
    ):
        native, ours = bench.native(*arguments), bench.ours(*arguments)
        with _null() as null:
            pair = interleave(
                partial(all_at_once, native, _AT_ONCE, null), partial(all_at_once, ours, _AT_ONCE, null),
                runs=9, warmup=1,
            )  # fmt: skip
        ratio = 1 / pair.ratio
        yield Row(
            f"{_AT_ONCE} × `git {' '.join(arguments)}` at once", f"{ratio:.2f}x native throughput",
            "at least 0.7x" if budget else "(the worst case: nothing but starting)",
            ratio >= 0.7 if budget else None,
        )  # fmt: skip


def reload(bench: Bench) -> Iterator[Row]:
    delays = asyncio.run(_reload_delays(bench.home, 40))
    p95 = percentile(delays, 0.95)
    yield Row(
        "save of git.yaml until the plugin enforces it",
        f"p50 {percentile(delays, 0.5) * 1e3:.0f} ms, p95 {p95 * 1e3:.0f} ms",
        "at most 150 ms, p95", p95 <= 0.150,
    )  # fmt: skip


async def _reload_delays(home: Home, saves: int) -> list[float]:
    file = home.policy_file("git")
    original = file.read_text(encoding="utf-8")
    client = await Client.connect(home)
    try:
        return [await _one_reload(client, file, f"{original}# save {number}\n") for number in range(saves)]
    finally:
        file.write_text(original, encoding="utf-8")
        await client.close()


async def _one_reload(client: Client, file: Path, text: str) -> float:
    wanted = policy_hash(text)
    scratch = file.with_suffix(".tmp")
    scratch.write_text(text, encoding="utf-8")
    start = time.perf_counter()
    scratch.replace(file)
    while (await client.status()).plugins[0].policy.enforced_hash != wanted:
        if time.perf_counter() - start > 10:
            raise RuntimeError("a saved policy was not enforced within 10 s")
        await asyncio.sleep(0.001)
    return time.perf_counter() - start


def audit_ingest(bench: Bench) -> Iterator[Row]:
    events = [_event(number) for number in range(_EVENTS)]
    ours = asyncio.run(_ingest(bench.scratch / "ingest.db", events))
    bare = _bare_insert(bench.scratch / "bare.db", events)
    rate = _EVENTS / ours
    yield Row(
        "audit ingest, with hash chain",
        f"{rate:,.0f} events/s ({ours / bare:.1f}x the time of a bare insert)",
        "20,000 events/s", rate >= 20_000,
    )  # fmt: skip


async def _ingest(path: Path, events: list[AuditEvent]) -> float:
    store = AuditStore(path)
    store.open()
    start = time.perf_counter()
    for first in range(0, len(events), 1000):
        await store.append(events[first : first + 1000], ())
    elapsed = time.perf_counter() - start
    store.close()
    return elapsed


def _bare_insert(path: Path, events: list[AuditEvent]) -> float:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE event (id TEXT PRIMARY KEY, body TEXT)")
        start = time.perf_counter()
        for first in range(0, len(events), 1000):
            rows = [(event.id, json.dumps(event.args)) for event in events[first : first + 1000]]
            connection.executemany("INSERT INTO event VALUES (?, ?)", rows)
            connection.commit()
        return time.perf_counter() - start


def _event(number: int) -> AuditEvent:
    blocked = number % 10 == 0
    return AuditEvent(
        id=f"{number:032x}", command=f"{number:032x}", time=1_700_000_000 + number,
        plugin="git", layer=Layer.ARGV,
        args=("push", "origin", f"claude/topic-{number}"), cwd="/workspace", caller="uid=1000 pid=4242",
        verdict=Verdict.BLOCKED if blocked else Verdict.ALLOWED, rule="blocked_branches" if blocked else "",
    )  # fmt: skip


def audit_paging(bench: Bench) -> Iterator[Row]:
    reader = AuditReader(_million(bench))
    delays = [
        _seconds(partial(reader.rows, AuditFilter(), first, 100)) for first in range(0, _ROWS, _ROWS // 50)
    ]
    p95 = percentile(delays, 0.95)
    yield Row(
        "page of 100 out of 1,000,000 audit rows, anywhere", f"p95 {p95 * 1e3:.1f} ms", "50 ms", p95 <= 0.050
    )


def _million(bench: Bench) -> Path:
    """An audit log of a million rows, made once."""
    path = bench.scratch / "million.db"
    if not path.exists():
        asyncio.run(_ingest(path, [_event(number) for number in range(_ROWS)]))
    return path


def dashboard(bench: Bench) -> Iterator[Row]:
    """cc-tui attached to a supervisor whose audit log has a million rows, in a pseudo-terminal of 120x40."""
    home = Home(bench.scratch / "m")
    home.create()  # with no policy in it: nothing but the log is measured
    shutil.copyfile(_million(bench), home.audit_db)
    supervisor = EmbeddedSupervisor(home, bench.project)
    supervisor.start()
    try:
        yield from _desk([str(Path(sys.executable).with_name("cc-tui")), "--home", str(home.root)])
    finally:
        supervisor.stop()


def _desk(program: list[str]) -> Iterator[Row]:
    paints = []
    for _ in range(5):
        with painted(program) as desk:
            paints.append(desk.seconds)
    paint = percentile(paints, 0.5)
    yield Row("cc-tui, first paint", f"{paint:.2f} s", "0.8 s", paint <= 0.8)
    with painted(program) as desk:
        desk.sees("blocked_branches")  # the latest blocked ones: everything is loaded
        time.sleep(3)  # past the start-up work: idle is what is measured
        before = desk.cpu_seconds()
        time.sleep(10)
        idle = (desk.cpu_seconds() - before) / 10
        desk.press("3", "1,000,0")
        desk.press("b", "only refused")
        memory = desk.resident_bytes()
    yield Row("cc-tui, idle CPU", f"{idle * 100:.1f} %", "1 %", idle <= 0.01)
    yield Row(
        "cc-tui, memory with 1,000,000 audit rows, filtered",
        f"{memory / 1e6:.0f} MB", "150 MB", memory <= 150e6,
    )  # fmt: skip


def docker(bench: Bench) -> Iterator[Row]:
    yield from containers.docker(bench.home, bench.project)


def _throughput(program: Program, stdin: str | None) -> float:
    return program.throughput_seconds(stdin_path=stdin)[0]


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


@contextmanager
def _null() -> Iterator[int]:
    descriptor = os.open(os.devnull, os.O_WRONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


SCENARIOS = (
    latency,
    streaming,
    concurrency,
    reload,
    audit_ingest,
    audit_paging,
    dashboard,
    gateway,
    egress,
    docker,
)

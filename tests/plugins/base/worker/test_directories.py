from __future__ import annotations

import os
from pathlib import Path

import pytest

from plugins.base.errors import Denied
from tests.plugins.base.workers import (
    Bench,
    Line,
    started,
    talking,
)


async def test_a_directory_outside_is_denied(bench: Bench) -> None:
    inside, outside = bench.place.workspace, bench.place.outside
    (inside / "out").symlink_to(outside)
    sibling = inside.with_name("w-2")
    sibling.mkdir()
    for path in (outside, inside / "out", inside / ".." / "o", sibling, Path("/"), Path("/proc/self/cwd")):
        with pytest.raises(Denied, match="outside the workspace"):
            await bench.start("touch", "planted", cwd=path)
    assert not list(outside.iterdir()) and not list(sibling.iterdir())


async def test_a_directory_that_is_none_is_denied(bench: Bench) -> None:
    (bench.place.workspace / "file").touch()
    (bench.place.workspace / "loop").symlink_to("loop")
    for name in ("missing", "file", "loop"):
        with pytest.raises(Denied, match="cannot be opened"):
            await bench.start("true", cwd=bench.place.workspace / name)
    for name in ("", ".", "w"):
        with pytest.raises(Denied, match="not an absolute path"):
            await bench.worker.capture(("true",), cwd=name)
    with pytest.raises(Denied, match="null byte"):
        await bench.worker.capture(("true",), cwd="/a\0b")


async def test_links_inside_and_the_private_directory_are_fine(bench: Bench) -> None:
    real = bench.place.workspace / "real (deleted)"
    real.mkdir()
    (bench.place.workspace / "link").symlink_to(real)
    assert (await bench.sh("pwd -P", cwd=bench.place.workspace / "link")).stdout == f"{real}\n".encode()
    home = bench.place.private / "home"
    assert (await bench.sh("pwd -P", cwd=home)).stdout == f"{home}\n".encode()


async def test_a_directory_deleted_after_it_was_opened_is_denied(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    doomed = bench.place.workspace / "doomed"
    doomed.mkdir()
    really_open = os.open

    def open_and_delete(path: str, flags: int, mode: int = 0o777) -> int:
        descriptor = really_open(path, flags, mode)
        if path == str(doomed):
            doomed.rmdir()
        return descriptor

    null = really_open(os.devnull, os.O_RDWR)
    monkeypatch.setattr(os, "open", open_and_delete)
    with pytest.raises(Denied, match="deleted"):
        await started(bench.worker, ("true",), cwd=str(doomed), environment={}, fds=(null, null, null))
    os.close(null)


async def test_a_directory_replaced_after_it_was_opened_is_the_one_that_was_judged(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = bench.place.workspace / "judged"
    judged.mkdir()
    really_open = os.open

    def open_and_replace(path: str, flags: int, mode: int = 0o777) -> int:
        descriptor = really_open(path, flags, mode)
        if path == str(judged):
            judged.rename(judged.with_name("moved"))
            judged.symlink_to(bench.place.outside)
        return descriptor

    monkeypatch.setattr(os, "open", open_and_replace)
    null = really_open(os.devnull, os.O_RDWR)
    running = await started(
        bench.worker, ("touch", "here"), cwd=str(judged), environment={}, fds=(null, null, null)
    )
    os.close(null)
    assert (await running.wait()).exit_code == 0
    assert (bench.place.workspace / "moved" / "here").exists()
    assert not list(bench.place.outside.iterdir())


async def test_the_worker_holds_no_directory(bench: Bench) -> None:
    inside = bench.place.workspace / "inside"
    inside.mkdir()
    with Line() as line:
        running = await talking(bench, line, "cd inside; echo there; rmdir ../inside; exec cat")
        assert await line.read() == b"there\n"
        assert (await running.wait()).exit_code == 0
    assert not inside.exists()
    assert os.readlink(f"/proc/{bench.worker.pid}/cwd") == "/"

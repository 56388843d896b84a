"""A saved policy is told at once, however it was saved."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from plugins.base.policy.watch import changes


class Watching:
    """Collects what is told, and lets tests wait for it."""

    def __init__(self) -> None:
        self.rounds: list[frozenset[str]] = []
        self._more = asyncio.Condition()

    async def collect(self, config: Path) -> None:
        async with aclosing(changes(config)) as rounds:
            async for names in rounds:
                async with self._more:
                    self.rounds.append(names)
                    self._more.notify_all()

    async def told(self, name: str, *, since: int) -> None:
        async with asyncio.timeout(10), self._more:
            await self._more.wait_for(lambda: any(name in names for names in self.rounds[since:]))

    async def begun(self) -> None:
        async with asyncio.timeout(10), self._more:
            await self._more.wait_for(lambda: bool(self.rounds))


@asynccontextmanager
async def watching(config: Path) -> AsyncIterator[Watching]:
    watch = Watching()
    task = asyncio.create_task(watch.collect(config))
    try:
        await watch.begun()
        yield watch
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    directory = tmp_path / "home" / "config"
    directory.mkdir(parents=True)
    (directory / "git.yaml").write_text("plugin: git\n")
    return directory


def write_in_place(file: Path) -> None:
    file.write_text("in place\n")


def replace_by_rename(file: Path) -> None:
    scratch = file.with_name(f".{file.name}.swp")
    scratch.write_text("renamed\n")
    scratch.rename(file)


def save_as_vim(file: Path) -> None:
    file.rename(f"{file}~")
    file.write_text("new\n")
    Path(f"{file}~").unlink()


def save_as_sed(file: Path) -> None:
    scratch = file.with_name("sedXa1b2C")
    scratch.write_text("sed\n")
    os.replace(scratch, file)


def remove(file: Path) -> None:
    file.unlink()


def move_in_from_elsewhere(file: Path) -> None:
    outside = file.parent.parent / "outside"
    outside.write_text("moved\n")
    outside.rename(file)


def make(directory: Path) -> None:
    directory.mkdir(parents=True)


def replace_directory(old: Path, new: Path) -> None:
    old.rename(old.parent / "old")
    new.rename(old)


async def test_tells_every_tool_first_when_the_watch_stands(config: Path) -> None:
    (config / "npm.yaml").touch()
    async with watching(config) as watch:
        assert watch.rounds[0] == {"git", "npm"}


@pytest.mark.parametrize(
    "save",
    [write_in_place, replace_by_rename, save_as_vim, save_as_sed, remove, move_in_from_elsewhere],
)
async def test_tells_a_save_however_it_is_done(config: Path, save: Callable[[Path], None]) -> None:
    async with watching(config) as watch:
        save(config / "git.yaml")
        await watch.told("git", since=1)


async def test_tells_a_new_tool(config: Path) -> None:
    async with watching(config) as watch:
        (config / "npm.yaml").write_text("plugin: npm\n")
        await watch.told("npm", since=1)


async def test_tells_nothing_about_files_that_are_no_policies(config: Path) -> None:
    async with watching(config) as watch:
        for name in (".git.yaml.swp", "git.yaml~", "4913", ".hidden.yaml", "notes.txt", "git.yml", "-x.yaml"):
            (config / name).write_text("x")
        (config / "npm.yaml").write_text("x")
        await watch.told("npm", since=1)
        assert frozenset().union(*watch.rounds[1:]) == {"npm"}


async def test_a_burst_of_writes_is_told_in_few_rounds_and_the_last_one_too(config: Path) -> None:
    async with watching(config) as watch:
        for number in range(200):
            (config / "git.yaml").write_text(f"# {number}\n")
        await watch.told("git", since=1)
        (config / "npm.yaml").write_text("the end\n")
        await watch.told("npm", since=1)
        assert len(watch.rounds) < 20


async def test_goes_on_when_the_directory_is_removed_and_made_again(config: Path) -> None:
    async with watching(config) as watch:
        shutil.rmtree(config)
        await watch.told("git", since=1)
        before = len(watch.rounds)
        make(config)
        (config / "git.yaml").write_text("again\n")
        await watch.told("git", since=before)
        before = len(watch.rounds)
        (config / "git.yaml").write_text("and again\n")
        await watch.told("git", since=before)


async def test_goes_on_when_another_directory_takes_its_place(config: Path) -> None:
    other = config.parent / "other"
    other.mkdir()
    (other / "npm.yaml").touch()
    async with watching(config) as watch:
        replace_directory(config, other)
        await watch.told("git", since=1)
        await watch.told("npm", since=1)
        before = len(watch.rounds)
        (config / "npm.yaml").write_text("changed\n")
        await watch.told("npm", since=before)


async def test_waits_for_a_home_that_does_not_exist_yet(tmp_path: Path) -> None:
    config = tmp_path / "home" / "config"
    async with watching(config) as watch:
        assert watch.rounds == [frozenset()]
        make(config)
        (config / "git.yaml").write_text("new\n")
        await watch.told("git", since=1)


async def test_ends_at_once_when_cancelled(config: Path) -> None:
    async with asyncio.timeout(1):
        async with watching(config):
            pass

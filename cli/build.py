"""build: makes the images that are missing or whose inputs changed, and shows how far it is."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from cli.build_progress import progress
from cli.output import emit, json_option
from supervisor.containers.names import AGENT
from supervisor.home import Home
from supervisor.images.recipes import Recipe
from supervisor.images.store import Images
from supervisor.runtimes.choice import tools
from supervisor.wrappers import check_tool_name

if TYPE_CHECKING:
    from supervisor.containers.engine import Engine

pass_home = click.make_pass_decorator(Home)


@click.command()
@click.argument("tools", nargs=-1, metavar="[TOOL]...")
@click.option("-v", "--verbose", is_flag=True, help="Show everything that the builds print.")
@json_option
@pass_home
def build(home: Home, tools: tuple[str, ...], verbose: bool, as_json: bool) -> None:
    """Build the images that are missing, or whose inputs changed.

    Without TOOL: those of all plugins, and the agent's own (`claude`).
    """
    with opened_images(home) as (_, images):
        wanted = _named(tools) or (*_configured(home), AGENT)
        built = build_missing(images, wanted, verbose=verbose)
        if as_json:
            emit([_described(images, each, built) for each in images.recipes(wanted)])
        elif not built:
            click.echo(f"Everything is built: {', '.join(wanted)}.")


def _described(images: Images, wanted: Recipe, built: list[str]) -> dict[str, object]:
    return {
        "image": wanted.tool, "tag": wanted.tag, "built": wanted.tool in built,
        "size_bytes": _size(images, wanted),
    }  # fmt: skip


def _size(images: Images, wanted: Recipe) -> int:
    found = images.engine.image(wanted.tag)
    return found.size_bytes if found is not None else 0


def _named(tools: Iterable[str]) -> tuple[str, ...]:
    for tool in tools:
        if tool != AGENT:
            check_tool_name(tool)
    return tuple(dict.fromkeys(tools))


def _configured(home: Home) -> tuple[str, ...]:
    """The tools under policy; a home that is yet to be set up will have git."""
    return tuple(tools(home)) if home.config.exists() else ("git",)


def build_missing(images: Images, tools: Iterable[str], *, verbose: bool = False) -> list[str]:
    """Build what is missing or made of something else by now, and show how far it is.

    Returns the tools whose images were built. Raises `BuildFailed`.
    """
    wanted = images.to_build(tools)
    for each in wanted:
        began = time.monotonic()
        shown = progress(each.tool, verbose=verbose)
        try:
            images.build(each, shown.line)
        finally:
            shown.end()
        took, size = time.monotonic() - began, _size(images, each) // 1_000_000
        click.echo(f"Built {each.tag} ({size} MB) in {took:.0f} s.", err=True)
    return [each.tool for each in wanted]


@contextmanager
def opened_images(home: Home) -> Iterator[tuple[Engine, Images]]:
    """The engine that answers, and the home's images there. Raises `EngineAway` when none does."""
    from supervisor.containers import engine
    from supervisor.images.of_home import images_of

    found = engine.connect()
    try:
        yield found, images_of(home, found)
    finally:
        found.close()

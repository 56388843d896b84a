"""doctor's look at the container engine: that it answers, what holds its containers, the images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from cli.findings import Finding
from plugins.base.errors import ClaudeContainerError
from supervisor.containers.names import AGENT
from supervisor.home import Home

if TYPE_CHECKING:
    from supervisor.containers.engine import Engine
    from supervisor.containers.engine_facts import Fact

_PATIENCE: Final = 10.0  # seconds


def look(home: Home, *, needed: bool) -> Iterator[Finding]:
    """`needed`: plugins run in containers, or are to; else what is missing is no problem."""
    from supervisor.containers import engine

    try:
        found = engine.connect(patience=10)
    except ClaudeContainerError as error:
        yield Finding("Engine", error.message.rstrip("."), error.hint if needed else "", note=not needed)
        return
    try:
        yield Finding(
            "Engine", f"{found.name}, API {found.api_version}, at {found.url.removeprefix('unix://')}"
        )
        yield from _of_engine(found)
        yield from _images(home, found, needed=needed)
    except ClaudeContainerError as error:
        yield Finding("Engine", error.message.rstrip("."), error.hint)
    finally:
        found.close()


def _of_engine(found: Engine) -> Iterator[Finding]:
    for fact in _facts(found):
        yield Finding("Engine", fact.text, fact.fix, note=True)


def _facts(found: Engine) -> Iterator[Fact]:
    from supervisor.containers.engine_facts import facts
    from supervisor.containers.podman_facts import INFO, has_init, podman_facts

    with found.translated():
        if not found.podman:
            return facts(found.api.info(), uid=os.getuid())
        answer = found.api.get(f"{found.api.base_url}{INFO}", timeout=_PATIENCE)
        answer.raise_for_status()
    return podman_facts(answer.json(), owner=found.owner, uid=os.getuid(), init=has_init())


def _images(home: Home, found: Engine, *, needed: bool) -> Iterator[Finding]:
    from supervisor.images.of_home import images_of
    from supervisor.runtimes.choice import tools

    images = images_of(home, found)
    for recipe in images.recipes((*tools(home), AGENT)):
        if images.is_current(recipe):
            yield Finding("Image", f"{recipe.tag} is built")
        else:
            fix = f"Run: claude-container build {recipe.tool}" if needed and recipe.tool != AGENT else ""
            yield Finding("Image", f"{recipe.tag} is not built, or out of date", fix, note=True)

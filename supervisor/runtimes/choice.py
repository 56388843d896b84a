"""Which runtime a supervisor uses, and why: what front ends ask before they start one. Blocking.

`auto` takes containers where an engine answers and every image is there and up to date; it never
builds, and never falls back in silence. The engine's SDK is imported only where it is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from plugins.base.errors import ClaudeContainerError
from supervisor.home import Home

if TYPE_CHECKING:
    from supervisor.containers.engine import Engine
    from supervisor.images.store import Images

Name = Literal["process", "docker"]
Wanted = Literal["auto", "process", "docker"]
WANTED: Final[tuple[Wanted, ...]] = ("auto", "process", "docker")
AS_ASKED: Final = "as asked for"
_PATIENCE: Final = 10.0  # seconds that an engine may take to answer


@dataclass(frozen=True, slots=True)
class Chosen:
    """The runtime, and in one clause why it is that one."""

    name: Name
    reason: str


def choose(home: Home, wanted: Wanted, *, wait: bool = False) -> Chosen:
    """Decide.

    Raises `ClaudeContainerError` when `docker` is wanted and no engine answers, unless there is somebody
    to `wait` for one.
    """
    if wanted == "process":
        return Chosen("process", AS_ASKED)
    from supervisor.containers import engine

    try:
        found = engine.connect(patience=_PATIENCE)
    except ClaudeContainerError as error:
        if wanted == "docker" and not wait:
            raise
        return (
            Chosen("process", error.message.rstrip(".")) if wanted == "auto" else Chosen("docker", AS_ASKED)
        )
    try:
        if wanted == "docker":
            return Chosen("docker", f"{AS_ASKED}; {found.name} answers")
        return _by_images(home, found)
    finally:
        found.close()


def _by_images(home: Home, found: Engine) -> Chosen:
    try:
        missing = [recipe.tool for recipe in _images(home, found).to_build(tools(home))]
    except ClaudeContainerError as error:
        return Chosen("process", error.message.rstrip("."))
    if missing:
        return Chosen(
            "process",
            f"the images of {', '.join(missing)} are not built, or out of date: claude-container build",
        )
    return Chosen("docker", f"{found.name} answers, and the images are built")


def tools(home: Home) -> list[str]:
    """The tools whose images are needed: those that have a policy file."""
    from supervisor.gateways import tool_of_image  # brings the policies' models

    return sorted({tool_of_image(path.stem) for path in home.config.glob("*.yaml")})


def _images(home: Home, found: Engine) -> Images:
    from supervisor.images.of_home import images_of

    return images_of(home, found)

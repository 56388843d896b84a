"""Which image a container is made from, and which images a home has. Blocking; raises `EngineError`s."""

from __future__ import annotations

from typing import Final

from plugins.base.errors import ClaudeContainerError
from supervisor.containers.engine import Engine, connect
from supervisor.containers.names import image
from supervisor.home import Home
from supervisor.images.engine import DockerImages
from supervisor.images.recipes import image_version
from supervisor.images.store import Images

_PATIENCE: Final = 10.0  # seconds for an engine's first answer


def images_of(home: Home, engine: Engine, version: str = "") -> Images:
    """Those of the home, or those of another `version`."""
    return Images(home, DockerImages(engine.api, engine.translated), version or image_version(home))


def client_of_image(home: Home) -> bytes | None:
    """`plugin-client`, out of the git plugin's image; None without an engine, or when that is not built."""
    try:
        engine = connect(patience=_PATIENCE)
    except ClaudeContainerError:
        return None
    try:
        return images_of(home, engine).client()
    finally:
        engine.close()


def image_id(engine: Engine, tool: str, version: str) -> str:
    """The image of the tool's plugin as it is now. Raises `ClaudeContainerError` when it is not built."""
    tag = image(tool, version)
    found = DockerImages(engine.api, engine.translated).image(tag)
    if found is None:
        raise ClaudeContainerError(
            f"The image {tag} is not built.", hint=f"Run: claude-container build {tool}"
        )
    return found.id

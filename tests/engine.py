"""A real container engine for tests, and the images that they need: made once, by whoever asks first.

The images get a tag of this checkout's own, so that several checkouts can use one engine. There is no
registry to pull from: all is made on a Debian by debootstrap, see tests/docker/base_image.sh.
`python -m tests.engine` makes everything ahead of the tests.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from plugins.base.errors import ClaudeContainerError
from supervisor.containers.engine import Engine, connect
from supervisor.containers.names import AGENT, image
from supervisor.home import Home
from supervisor.images.of_home import images_of
from supervisor.images.recipes import image_version

ROOT: Final = Path(__file__).parents[1]
BASE: Final = "claude-container-base:bookworm"
VERSION: Final = "test-" + hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]
PATIENCE: Final = 900  # seconds until all images are there, on a slow machine and for the first time
CHOICES: Final = f"""\
[default]
base = "{BASE}"
builder = "{BASE}"

[{AGENT}]
base = "{BASE}"
packages = []
claude_code = "none"
"""


def engine_or_skip(url: str = "") -> Engine:
    """Connect to the engine that runs here; without one, the test is skipped and says why."""
    try:
        return connect(url)
    except ClaudeContainerError as error:
        pytest.skip(f"no container engine: {error.message}")


def images_or_skip(engine: Engine, *tools: str) -> str:
    """Make the images of these tools unless they are there, and return their version."""
    if not shutil.which("docker"):
        pytest.skip("the docker command is not installed (apt install docker.io)")
    made = _made(engine.url, tools)
    if made:
        pytest.skip(made)
    return VERSION


@cache
def _made(url: str, tools: tuple[str, ...]) -> str:
    """Why there can be no images; "" when they are there. Raises `BuildFailed`."""
    with _alone(url):
        if why := _no_base(url):
            return why
        make(url, *tools)
    return ""


@contextmanager
def _alone(url: str) -> Iterator[None]:
    """One at a time, whatever the number of workers."""
    name = hashlib.sha256(url.encode()).hexdigest()[:8]
    with (Path(tempfile.gettempdir()) / f"claude-container-images-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _no_base(url: str) -> str:
    """Make the base image; why it cannot be made, else ""."""
    inspected = subprocess.run(
        ["docker", "image", "inspect", BASE], env=_environment(url), capture_output=True, check=False
    )
    if inspected.returncode == 0:
        return ""
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        return f"no image {BASE}, and making it needs root and debootstrap"
    done = subprocess.run(
        [str(ROOT / "tests" / "docker" / "base_image.sh"), BASE], env=_environment(url), text=True,
        capture_output=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    return f"the base image cannot be made: {last}" if done.returncode else ""


def _environment(url: str) -> dict[str, str]:
    return {**os.environ, "DOCKER_HOST": url}


def make(url: str, *tools: str, version: str = VERSION) -> None:
    """Build what is missing or made of something else by now."""
    engine = connect(url, patience=PATIENCE)
    with tempfile.TemporaryDirectory() as directory:
        home = Home(Path(directory))
        home.config.mkdir()
        (home.config / "images.toml").write_text(CHOICES)
        images = images_of(home, engine, version)
        for recipe in images.to_build(tools):
            images.build(recipe, lambda line: print(line, flush=True))
    engine.close()


def give_images(engine: Engine, home: Home, *tools: str) -> None:
    """Give a home that chose `CHOICES` the shared images, under its own names: nothing is left to build."""
    for tool in tools:
        engine.api.tag(image(tool, VERSION), *image(tool, image_version(home)).split(":"))


def main() -> int:
    """Make everything that tests ask for."""
    from tests.docker.node import make_node  # which needs the base of this module

    url = connect().url
    why = _made(url, ("git", AGENT))
    if not why:
        make_node()
    print(why or "The images are there.")
    return 1 if why else 0


if __name__ == "__main__":
    sys.exit(main())

"""Podman, for the tests that show with it what others show with Docker."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from supervisor.containers.engine import Engine
from supervisor.containers.names import AGENT, image
from tests.e2e.ground import UID
from tests.engine import VERSION, engine_or_skip, images_or_skip
from tests.podman import Podman, podman_or_skip

GIT: Final = image("git", VERSION)


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The images that the tests share, as Docker saves them."""
    docker = engine_or_skip()
    images_or_skip(docker, "git", AGENT)
    docker.close()
    saved = tmp_path_factory.mktemp("images") / "saved.tar"
    subprocess.run(["docker", "save", "-o", str(saved), GIT, image(AGENT, VERSION)], check=True)
    yield saved
    saved.unlink()


@pytest.fixture(scope="session", params=["rootful", "rootless"])
def podman_itself(request: pytest.FixtureRequest, archive: Path) -> Iterator[Podman]:
    """The machine's, and an ordinary user's own; both with the images that the tests share."""
    with podman_or_skip(0 if request.param == "rootful" else UID, GIT, archive) as podman:
        yield podman


@pytest.fixture(scope="session")
def podman(podman_itself: Podman) -> Iterator[Engine]:
    with podman_itself.serving() as engine:
        yield engine

"""`claude-container` with containers: chosen, built, started, looked at, stopped, all by commands."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from supervisor.containers.engine import Engine
from supervisor.containers.names import image
from supervisor.home import Home
from supervisor.images.recipes import image_version
from supervisor.runtimes.choice import choose
from tests.cli.commands import Commands
from tests.docker.place import until
from tests.engine import CHOICES, give_images
from tests.supervisor.containers.docker.conftest import calls
from tests.supervisor.containers.docker.test_docker_supervised import set_up
from tests.supervisor.harness import Place

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("engine")]


@pytest.fixture
def home(place: Place) -> Home:
    """Without images of its own, yet with a choice of what they are made of."""
    set_up(place)
    (place[0].config / "images.toml").write_text(CHOICES)
    return place[0]


@pytest.fixture
def built(home: Home, engine: Engine, version: str) -> Iterator[Home]:
    """The home's images are those that all tests share."""
    give_images(engine, home, "git")
    yield home
    engine.api.remove_image(image("git", image_version(home)))


@pytest.fixture
def command(built: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(built, monkeypatch, capsys)


def test_auto_takes_no_containers_whose_images_are_not_built(home: Home) -> None:
    chosen = choose(home, "auto")
    assert chosen.name == "process"
    assert "the images of git are not built" in chosen.reason
    assert "claude-container build" in chosen.reason


def test_auto_takes_containers_where_everything_is_there(built: Home) -> None:
    chosen = choose(built, "auto")
    assert chosen.name == "docker"
    assert "the images are built" in chosen.reason


def test_start_status_logs_and_stop(command: Commands, place: Place, engine: Engine) -> None:
    started = command("start", "--runtime", "docker", "--workspace", str(place[1]))
    assert "git, git-gateway healthy" in started.out
    assert "in containers" in started.out
    assert "Built" not in started.err
    status = command("status", "--json").json
    assert (status["runtime"], "as asked for" in status["runtime_reason"]) == ("docker", True)
    # The copy of a container's log comes a moment after the plugin is healthy.
    until(lambda: "listens on /run/plugins/git.sock" in command("logs", "git").out, "git's log")
    until(lambda: "The gateway listens" in command("logs", "git-gateway").out, "the gateway's log")
    assert len(calls(engine, command.home).all()) == 2
    assert command("stop").out == "Stopped.\n"
    assert calls(engine, command.home).all() == []
    assert engine.api.networks(names=[f"claude-container-{calls(engine, command.home).instance}-git"]) == []

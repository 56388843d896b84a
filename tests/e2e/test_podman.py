"""The same as with Docker, by the same tests, with Podman: the machine's, and an ordinary user's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from supervisor.containers.facts import AGENT, LABEL_INSTANCE, image, instance_of
from tests.docker.test_run import test_a_terminal_is_a_terminal
from tests.e2e.ground import UID
from tests.e2e.test_docker import (
    Installed,
    installed,
    test_a_killed_supervisor_leaves_plugins_that_go_on_and_are_adopted,
    test_an_agent_in_its_container_pushes_its_branch_and_is_refused_on_main,
    test_the_agent_has_its_work_and_the_plugins_sockets,
    test_the_gateways_container_has_no_workspace,
    test_the_plugins_container_has_the_workspace_and_its_gateway,
    test_what_is_killed_comes_back_and_no_record_is_lost_or_doubled,
)
from tests.engine import PATIENCE, VERSION, engine_or_skip, images_or_skip
from tests.podman import podman_or_skip

pytestmark = [pytest.mark.timeout(PATIENCE), pytest.mark.xdist_group("podman")]
__all__ = [
    "test_a_killed_supervisor_leaves_plugins_that_go_on_and_are_adopted",
    "test_a_terminal_is_a_terminal",
    "test_an_agent_in_its_container_pushes_its_branch_and_is_refused_on_main",
    "test_the_agent_has_its_work_and_the_plugins_sockets",
    "test_the_gateways_container_has_no_workspace",
    "test_the_plugins_container_has_the_workspace_and_its_gateway",
    "test_what_is_killed_comes_back_and_no_record_is_lost_or_doubled",
]


@pytest.fixture(scope="module", params=["rootful", "rootless"])
def site(request: pytest.FixtureRequest) -> Iterator[Installed]:
    docker = engine_or_skip()
    images_or_skip(docker, "git", AGENT)
    tags = [image(tool, VERSION) for tool in ("git", AGENT)]
    user = 0 if request.param == "rootful" else UID
    with podman_or_skip(user, *tags) as podman, installed(podman, beside=docker) as site:
        site.start_agent()
        yield site
    docker.close()


@pytest.fixture
def place(site: Installed) -> Installed:
    """By the name that tests of `run` know it by."""
    return site


def test_files_are_the_operators_whoever_makes_them(site: Installed) -> None:
    site.told("run", "--", "sh", "-c", "echo agent >by-agent && git branch claude/by-plugin")
    for name in ("by-agent", ".git/refs/heads/claude/by-plugin"):
        made = (site.ground.workspace / name).stat()
        assert (made.st_uid, made.st_gid) == (UID, UID)


def test_nothing_of_a_stopped_home_stays(site: Installed) -> None:
    """The last one: the home does not come back."""
    site.end()
    ours = {"label": f"{LABEL_INSTANCE}={instance_of(site.home)}"}
    assert site.engine.api.containers(all=True, filters=ours) == []
    assert site.engine.api.networks(filters=ours) == []

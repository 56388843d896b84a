"""The same as with Docker, by the same tests, with Podman: the machine's, and an ordinary user's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from supervisor.containers.engine import Engine
from supervisor.containers.names import LABEL_INSTANCE, instance_of
from tests.docker.test_run import test_a_terminal_is_a_terminal
from tests.e2e import test_docker
from tests.e2e.ground import UID
from tests.e2e.installed import Installed, installed
from tests.e2e.test_docker import (
    test_a_killed_supervisor_leaves_plugins_that_go_on_and_are_adopted,
    test_an_agent_in_its_container_pushes_its_branch_and_is_refused_on_main,
    test_the_agent_has_its_work_and_the_plugins_sockets,
    test_the_gateways_container_has_no_workspace,
    test_the_plugins_container_has_the_workspace_and_its_gateway,
)
from tests.engine import PATIENCE, engine_or_skip

pytestmark = [pytest.mark.timeout(PATIENCE), pytest.mark.xdist_group("podman")]
__all__ = [
    "test_a_killed_supervisor_leaves_plugins_that_go_on_and_are_adopted",
    "test_a_terminal_is_a_terminal",
    "test_an_agent_in_its_container_pushes_its_branch_and_is_refused_on_main",
    "test_the_agent_has_its_work_and_the_plugins_sockets",
    "test_the_gateways_container_has_no_workspace",
    "test_the_plugins_container_has_the_workspace_and_its_gateway",
]


@pytest.fixture(scope="module")
def site(podman: Engine) -> Iterator[Installed]:
    docker = engine_or_skip()
    with installed(podman, beside=docker) as site:
        site.start_agent()
        yield site
    docker.close()


@pytest.fixture
def place(site: Installed) -> Installed:
    """By the name that tests of `run` know it by."""
    return site


def test_a_killed_gateway_comes_back_where_its_plugin_looks_for_it(site: Installed) -> None:
    test_docker.test_what_is_killed_comes_back_and_no_record_is_lost_or_doubled(site, "git-gateway")


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

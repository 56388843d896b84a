"""What of the host a container gets to see, beside what compose.yaml has, too."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from plugins.base.control import StartConfig
from supervisor.containers.facts import Mount, User, inside, of_agent, of_plugin
from supervisor.containers.names import instance_of
from supervisor.containers.network_facts import Attachment, gateway_address, inner_network
from supervisor.home import Home

HOME = Home(Path("/home/u/.claude-container"))


def config(plugin: str = "git", workspace: str = "/home/u/project", origin: str = "") -> StartConfig:
    return StartConfig(
        plugin=plugin, socket="/s/git.sock", control="/c/supervisor.sock", token="", workspace=workspace,
        state="/s", client="", path="", origin=origin,
    )  # fmt: skip


def mounts(given: StartConfig) -> tuple[Mount, ...]:
    return of_plugin(given, HOME, User(1, 1), "2", inner_network(instance_of(HOME), "git")).mounts


def test_the_workspace_is_also_where_it_is_on_the_host() -> None:
    assert Mount("/home/u/project", "/home/u/project") in mounts(config())
    assert inside(config(), None).workspaces == ("/workspace", "/home/u/project")


@pytest.mark.parametrize("workspace", ["/usr/src/project", "/etc", "/workspace", "/opt/claude-container/x"])
def test_but_not_where_that_would_cover_what_the_image_has(workspace: str) -> None:
    assert [mount.target for mount in mounts(config(workspace=workspace))].count("/workspace") == 1
    assert workspace == "/workspace" or workspace not in {
        mount.target for mount in mounts(config(workspace=workspace))
    }
    assert inside(config(workspace=workspace), None).workspaces == ("/workspace",)


def test_the_gateway_alone_sees_an_origin_on_this_disk_under_its_name(tmp_path: Path) -> None:
    (tmp_path / "real.git").mkdir()
    (tmp_path / "up.git").symlink_to("real.git")
    origin = str(tmp_path / "up.git")
    assert Mount(str(tmp_path / "real.git"), origin) in mounts(config("git-gateway", origin=origin))
    assert origin not in {mount.target for mount in mounts(config("git", origin=origin))}


def test_a_relative_origin_starts_at_the_workspace(tmp_path: Path) -> None:
    (tmp_path / "up.git").mkdir()
    given = config("git-gateway", workspace=str(tmp_path / "project"), origin="../up.git")
    assert Mount(str(tmp_path / "up.git"), str(tmp_path / "up.git")) in mounts(given)
    assert inside(given, None).origin == str(tmp_path / "up.git")


@pytest.mark.parametrize(
    "origin", ["https://github.com/o/r.git", "git@github.com:o/r.git", "/etc", "/no/such.git"]
)
def test_nothing_else_is_taken_for_an_origin_on_this_disk(origin: str) -> None:
    assert origin not in {mount.source for mount in mounts(config("git-gateway", origin=origin))}


def test_the_workspace_is_never_shown_to_the_gateway(tmp_path: Path) -> None:
    for origin in (str(tmp_path), str(tmp_path / "project"), str(tmp_path / "project" / "inner.git")):
        Path(origin).mkdir(exist_ok=True)
        given = config("git-gateway", workspace=str(tmp_path / "project"), origin=origin)
        assert origin not in {mount.source for mount in mounts(given)}


def test_many_agents_find_room_beside_their_gateway() -> None:
    network = inner_network(instance_of(HOME), "claude")
    theirs = IPv4Network(network.chosen)
    assert theirs.subnet_of(IPv4Network(network.subnet))
    assert theirs.num_addresses >= 64
    assert IPv4Address(gateway_address(network)) not in theirs
    made = of_agent(HOME, Path("/w"), User(1, 1), "2", network=network)
    assert (made.networks, made.dns) == ((Attachment(network),), ("127.0.0.1",))
    assert of_agent(HOME, Path("/w"), User(1, 1), "2").networks == ()

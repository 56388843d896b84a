"""What engines are asked for in their own words."""

from __future__ import annotations

import dataclasses

import pytest

from supervisor.containers import facts
from supervisor.containers.dialect import DOCKER, PodmanDialect, dialect_of
from supervisor.containers.facts import Container, Mount, User
from supervisor.containers.network_facts import Attachment, Network

AGENTS = Container(
    name="a", image="i", command=("c",), user=User(1000, 100), mounts=(Mount("/w", "/workspace"),),
    labels={}, tmpfs={"/tmp": "rw,size=1g,mode=1777", "/home": "rw,size=2g,mode=0700,uid=1000,gid=100"},
)  # fmt: skip
PODMAN = PodmanDialect()
HARDENING = ("read_only", "cap_drop", "pids_limit", "mem_limit", "memswap_limit", "mounts", "network_mode")


def test_both_are_asked_for_the_same_hardening() -> None:
    docker, podman = (dialect.host_options(AGENTS) for dialect in (DOCKER, PODMAN))
    assert [docker[name] for name in HARDENING] == [podman[name] for name in HARDENING]
    for asked in (docker, podman):
        assert asked["security_opt"][0] == "no-new-privileges:true"
    assert docker["security_opt"][1] == f"seccomp={facts.seccomp_profile()}"
    assert podman["security_opt"][1] == f"seccomp={facts.seccomp_file()}"


def test_podman_gets_no_owner_of_a_tmpfs_and_makes_nothing_writable_by_itself() -> None:
    asked = PODMAN.host_options(AGENTS)["tmpfs"]
    assert asked["/home"] == "rw,size=2g,mode=1777"
    assert asked["/tmp"] == AGENTS.tmpfs["/tmp"]
    assert all(asked[place].startswith("ro,") for place in ("/run", "/var/tmp"))
    assert DOCKER.host_options(AGENTS)["tmpfs"] == AGENTS.tmpfs
    writable = dataclasses.replace(AGENTS, read_only=False)
    assert set(PODMAN.host_options(writable)["tmpfs"]) == set(AGENTS.tmpfs)


@pytest.mark.parametrize(
    ("podman", "owner", "asked"),
    [(True, 1000, {"UsernsMode": "keep-id"}), (True, 0, {}), (False, 1000, {}), (False, 0, {})],
)
def test_a_rootless_podman_keeps_users(podman: bool, owner: int, asked: dict[str, str]) -> None:
    assert dialect_of(podman=podman, owner=owner).more_host_options() == asked


def test_podman_is_not_told_to_keep_an_address_free_that_it_would_refuse_to_give() -> None:
    agents = Network("n", internal=True, subnet="10.213.1.0/24", chosen="10.213.1.128/25")
    assert DOCKER.pool(agents) == {"Subnet": agents.subnet, "IPRange": agents.chosen}
    assert PODMAN.pool(agents) == {"Subnet": agents.subnet}
    assert DOCKER.pool(dataclasses.replace(agents, chosen="")) == {"Subnet": agents.subnet}


def test_an_address_has_one_hardware_address() -> None:
    network = Network("n", internal=True)
    assert PODMAN.hardware_address(Attachment(network, "10.213.0.2")) == "02:42:0a:d5:00:02"
    assert PODMAN.hardware_address(Attachment(network)) == ""
    assert DOCKER.hardware_address(Attachment(network, "10.213.0.2")) == ""

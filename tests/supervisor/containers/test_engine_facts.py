"""What engines say of themselves, in words."""

from __future__ import annotations

from typing import Any

import pytest

from supervisor.containers.engine_facts import Fact, facts
from supervisor.containers.podman_facts import podman_facts

FINE: dict[str, Any] = {
    "SecurityOptions": ["name=seccomp,profile=default"],
    "MemoryLimit": True,
    "PidsLimit": True,
}


def test_of_an_engine_that_has_everything_there_is_nothing_to_say() -> None:
    assert list(facts(FINE, uid=1000)) == []


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({"SecurityOptions": []}, "filters no system calls"),
        ({"MemoryLimit": False, "SwapLimit": False}, "cannot limit memory, swap"),
        ({"SecurityOptions": ["name=seccomp", "name=userns"]}, "userns-remap"),
        ({"SecurityOptions": ["name=seccomp", "name=rootless"]}, "rootless Podman"),
    ],
)
def test_what_is_missing_has_a_fix(info: dict[str, Any], words: str) -> None:
    (fact,) = facts({**FINE, **info}, uid=1000)
    assert words in f"{fact.text} {fact.fix}"
    assert fact.fix


@pytest.mark.parametrize(
    ("info", "uid", "words"),
    [
        ({"SecurityOptions": ["name=seccomp", "name=apparmor"]}, 1000, "AppArmor"),
        ({}, 0, "you are root"),
    ],
)
def test_what_differs_is_named(info: dict[str, Any], uid: int, words: str) -> None:
    (fact,) = facts({**FINE, **info}, uid=uid)
    assert words in fact.text
    assert not fact.fix


# ---------------------------------------------------------------- Podman


def of_podman(
    owner: int = 1000, *, init: bool = True, backend: str = "netavark", controllers: str = "memory pids",
    seccomp: bool = True,
) -> list[Fact]:  # fmt: skip
    host = {
        "cgroupControllers": controllers.split(), "networkBackend": backend,
        "security": {"seccompEnabled": seccomp},
    }  # fmt: skip
    return list(podman_facts({"host": host}, owner=owner, uid=1000, init=init))


def test_of_a_podman_that_has_everything_nothing_is_to_be_done() -> None:
    assert [fact.fix for fact in of_podman() if fact.fix] == []
    assert [fact.fix for fact in of_podman(owner=0) if fact.fix] == []


@pytest.mark.parametrize(
    ("found", "words", "fix"),
    [
        (of_podman(owner=1001), "another user's", "systemctl --user"),
        (of_podman(init=False), "lacks catatonit", "apt install catatonit"),
        (of_podman(controllers=""), "cannot limit memory and pids", "Delegate"),
        (of_podman(owner=0, controllers="memory"), "cannot limit pids", "Enable"),
        (of_podman(seccomp=False), "no system calls", "seccomp"),
    ],
)
def test_what_a_podman_lacks_has_a_fix(found: list[Fact], words: str, fix: str) -> None:
    (lacking,) = (fact for fact in found if fact.fix)
    assert words in lacking.text
    assert fix in lacking.fix


def test_what_holds_in_another_way_is_named_where_it_is_so() -> None:
    for words in (
        "you are yourself in containers",
        "interrupted `build` goes on",
        "compose.yaml does not start",
    ):
        assert any(words in fact.text for fact in of_podman())
    for rootless, backend, named in ((0, "netavark", True), (0, "cni", False), (1000, "netavark", False)):
        told = [fact for fact in of_podman(rootless, backend=backend) if "has an address" in fact.text]
        assert bool(told) == named

"""What engines say of themselves, in words."""

from __future__ import annotations

from typing import Any

import pytest

from supervisor.containers.engine_facts import facts

FINE: dict[str, Any] = {
    "SecurityOptions": ["name=seccomp,profile=default"],
    "MemoryLimit": True,
    "PidsLimit": True,
}


def test_of_an_engine_that_has_everything_there_is_nothing_to_say() -> None:
    assert list(facts(FINE, podman=False, uid=1000)) == []


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({"SecurityOptions": []}, "filters no system calls"),
        ({"MemoryLimit": False, "SwapLimit": False}, "cannot limit memory, swap"),
        ({"SecurityOptions": ["name=seccomp", "name=userns"]}, "userns-remap"),
    ],
)
def test_what_is_missing_has_a_fix(info: dict[str, Any], words: str) -> None:
    (fact,) = facts({**FINE, **info}, podman=False, uid=1000)
    assert words in fact.text
    assert fact.fix


@pytest.mark.parametrize(
    ("info", "podman", "uid", "words"),
    [
        ({"SecurityOptions": ["name=seccomp", "name=rootless"]}, False, 1000, "rootless"),
        ({"SecurityOptions": ["name=seccomp", "name=apparmor"]}, False, 1000, "AppArmor"),
        ({}, True, 1000, "Podman"),
        ({}, False, 0, "you are root"),
    ],
)
def test_what_differs_is_named(info: dict[str, Any], podman: bool, uid: int, words: str) -> None:
    (fact,) = facts({**FINE, **info}, podman=podman, uid=uid)
    assert words in fact.text
    assert not fact.fix

"""What an engine says of itself, and what that means for containers: for who looks for problems. Pure."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fact:
    """One sentence. `fix` is empty when nothing is missing."""

    text: str
    fix: str = ""


def facts(untrusted_info: Mapping[str, Any], *, podman: bool, uid: int | None = None) -> Iterator[Fact]:
    """What holds the containers of this engine, and what does not."""
    options = " ".join(map(str, untrusted_info.get("SecurityOptions") or ()))
    yield from _confinement(options)
    yield from _limits(untrusted_info)
    yield from _users(options, os.getuid() if uid is None else uid)
    if podman:
        yield Fact(
            "Podman gives the host an address on internal networks: what listens there on all addresses is "
            "within reach of a plugin's server (its worker's sandbox still forbids it)"
        )


def _confinement(options: str) -> Iterator[Fact]:
    if "seccomp" not in options:
        yield Fact(
            "it filters no system calls", "Use an engine, and a kernel, with seccomp: containers ask for it."
        )
    if "apparmor" in options or "selinux" in options:
        yield Fact(f"{'AppArmor' if 'apparmor' in options else 'SELinux'} confines containers as well")


def _limits(info: Mapping[str, Any]) -> Iterator[Fact]:
    lacking = [
        name
        for key, name in (("MemoryLimit", "memory"), ("SwapLimit", "swap"), ("PidsLimit", "processes"))
        if info.get(key) is False
    ]
    if lacking:
        yield Fact(
            f"it cannot limit {', '.join(lacking)}: a command may use up the machine's",
            "Enable these cgroup controllers (rootless engines need cgroup v2 with delegation).",
        )


def _users(options: str, uid: int) -> Iterator[Fact]:
    if "rootless" in options:
        yield Fact("rootless: even its root is an ordinary user of this machine")
    elif "userns" in options:
        yield Fact(
            "it maps users (userns-remap): containers cannot use a home and a workspace that are yours",
            "Take userns-remap out of the engine's configuration, or use --runtime process.",
        )
    if uid == 0:
        yield Fact("you are root, and so are the processes in containers, though without capabilities")

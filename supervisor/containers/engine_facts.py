"""What an engine says of itself, and what that means for containers: for who looks for problems. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fact:
    """One sentence. `fix` is empty when nothing is missing."""

    text: str
    fix: str = ""


def facts(untrusted_info: Mapping[str, Any], *, uid: int) -> Iterator[Fact]:
    """What holds the containers of this engine, and what does not; for Podman, see `podman_facts` instead."""
    options = security_options(untrusted_info)
    yield from confinement(options)
    yield from _limits(untrusted_info)
    yield from _users(options)
    yield from operator(uid)


def security_options(untrusted_info: Mapping[str, Any]) -> str:
    return " ".join(map(str, untrusted_info.get("SecurityOptions") or ()))


def confinement(options: str) -> Iterator[Fact]:
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


def operator(uid: int) -> Iterator[Fact]:
    if uid == 0:
        yield Fact("you are root, and so are the processes in containers, though without capabilities")


def _users(options: str) -> Iterator[Fact]:
    if "rootless" in options:
        yield Fact(
            "rootless: you are another user in its containers, who cannot use your home and workspace",
            "Use rootless Podman, which keeps users as they are, or --runtime process.",
        )
    elif "userns" in options:
        yield Fact(
            "it maps users (userns-remap): containers cannot use a home and a workspace that are yours",
            "Take userns-remap out of the engine's configuration, or use --runtime process.",
        )

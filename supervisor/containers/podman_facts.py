"""What Podman says of itself, and what holds in other ways than with Docker: for who looks for problems."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from supervisor.containers.engine_facts import Fact, confinement, operator

INFO: Final = "/v4.0.0/libpod/info"  # Podman's own: what it tells Docker's clients of limits is the machine's
_HELPERS: Final = ("/usr/libexec/podman", "/usr/local/libexec/podman", "/usr/lib/podman")
_INIT: Final = "catatonit"
_LIMITS: Final = ("memory", "pids")


def podman_facts(untrusted_info: Mapping[str, Any], *, owner: int, uid: int, init: bool) -> Iterator[Fact]:
    """`owner` is who the service runs as, `uid` the operator; `init`: whether `has_init`."""
    host = untrusted_info.get("host") or {}
    yield from confinement(_options(host.get("security") or {}))
    yield from _users(owner, uid)
    yield from operator(uid)
    yield from _limits(host, rootless=owner != 0)
    yield from _networks(host, rootless=owner != 0)
    yield from _clients()
    if not init:
        yield Fact(
            f"it lacks {_INIT}, the first process of an agent's container: `run` does not work",
            f"Install {_INIT} (Debian: apt install {_INIT}).",
        )


def _options(security: Mapping[str, Any]) -> str:
    return " ".join(name for name in ("apparmor", "seccomp", "selinux") if security.get(f"{name}Enabled"))


def has_init() -> bool:
    """Whether this machine has what Podman starts containers with that need a first process."""
    return shutil.which(_INIT) is not None or any((Path(each) / _INIT).exists() for each in _HELPERS)


def _users(owner: int, uid: int) -> Iterator[Fact]:
    if owner not in (0, uid):
        yield Fact(
            "it is another user's: what containers write would be theirs, and your home is closed to it",
            "Use your own (systemctl --user start podman.socket) or the machine's.",
        )
    elif owner:
        yield Fact("rootless: its root is an ordinary user of this machine; you are yourself in containers")


def _limits(host: Mapping[str, Any], *, rootless: bool) -> Iterator[Fact]:
    controllers = host.get("cgroupControllers") or ()
    lacking = [name for name in _LIMITS if name not in controllers]
    if lacking:
        yield Fact(
            f"it cannot limit {' and '.join(lacking)}: a command may use up the machine's",
            "Delegate these cgroup controllers to your user (cgroup v2; Delegate= of user@.service)."
            if rootless
            else "Enable these cgroup controllers.",
        )
    else:
        yield Fact("it may not tell that memory ran out: a plugin was just ended by SIGKILL then")


def _networks(host: Mapping[str, Any], *, rootless: bool) -> Iterator[Fact]:
    yield Fact(
        "the gateways of this home can reach each other on the way out; each listens elsewhere, to its own "
        "plugin alone"
    )
    if not rootless and host.get("networkBackend") != "cni":
        yield Fact(
            "the machine has an address on networks without a way out: what listens on all of its addresses "
            "is within reach of agents and of a plugin's server (not of the commands that it runs); where "
            "Docker runs, too, its firewall may cut plugins off from their gateways; neither is so with "
            "your own Podman (systemctl --user start podman.socket)"
        )


def _clients() -> Iterator[Fact]:
    yield Fact("an interrupted `build` goes on in it, and the steps of each stage are numbered from 1")
    yield Fact(
        "compose.yaml does not start with it: compose sends the seccomp profile's text, and it takes a "
        "file's name; use claude-container start"
    )

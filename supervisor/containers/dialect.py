"""How an engine wants to be asked for the same container: in Docker's way, and where Podman's differs.

The only place that knows one engine from another. What they do differently whatever they are asked is named
by `supervisor.containers.engine_facts`. Pure, but for the limits of this process, and this machine's cgroups.
"""

from __future__ import annotations

import ipaddress
import re
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from supervisor.containers.facts import Container, seccomp_file, seccomp_profile
from supervisor.containers.network_facts import Attachment, Network

_NO_LOGS: Final = {"Type": "none"}
_LOGS: Final = {"Type": "json-file", "Config": {"max-size": "4m", "max-file": "2"}}
_OURS: Final = b"\x02\x42"  # not a manufacturer's; as Docker has it
_PROCESSES: Final = 32768
_UNIFIED: Final = Path("/sys/fs/cgroup/cgroup.controllers")  # cgroup v2, which users may have a part of
_OWNER: Final = re.compile(r",mode=\d+,uid=\d+,gid=\d+")
_CLOSED: Final = "ro,nosuid,nodev,noexec,size=64k,mode=755"
# Podman makes these writable in each container whose root filesystem is not, unless something else is there.
_MADE_WRITABLE: Final = ("/run", "/var/tmp")  # noqa: S108 -- in the container


class Dialect:
    """Docker's way."""

    @property
    def counts(self) -> bool:
        """Whether what it says of a container's CPU and memory is the container's own."""
        return True

    def host_options(self, wanted: Container) -> dict[str, Any]:
        """The hardening, in the words of `APIClient.create_host_config`."""
        security = ["no-new-privileges:true"] if wanted.no_new_privileges else []
        if wanted.seccomp:
            security.append(f"seccomp={self._seccomp()}")
        return {
            "read_only": wanted.read_only, "cap_drop": list(wanted.cap_drop), "security_opt": security,
            "pids_limit": wanted.pids, "mem_limit": wanted.memory_bytes,
            "memswap_limit": wanted.memory_bytes,
            "ulimits": [
                _limit("nofile", wanted.files), _limit("memlock", wanted.locked_bytes), _limit("core", 0),
                *self._more_limits(),
            ],
            "mounts": [
                {
                    "Type": "bind", "Source": mount.source, "Target": mount.target,
                    "ReadOnly": mount.read_only, "BindOptions": {"Propagation": "rprivate"},
                }
                for mount in wanted.mounts
            ],
            "tmpfs": self._tmpfs(wanted), "dns": list(wanted.dns) or None,
            "dns_opt": list(wanted.dns_options) or None,
            "log_config": _LOGS if wanted.logged else _NO_LOGS,
            "network_mode": wanted.networks[0].network.name if wanted.networks else "none",
            "restart_policy": {"Name": "no"}, "init": wanted.init,
        }  # fmt: skip

    def more_host_options(self) -> dict[str, Any]:
        """What `create_host_config` would refuse to take, in the words of the engine's API."""
        return {}

    def network_options(self, network: Network) -> dict[str, str] | None:
        """Options of the bridge driver."""
        return network.options

    def pool(self, network: Network) -> dict[str, str]:
        """The addresses of a network that has a subnet."""
        return {"Subnet": network.subnet} | ({"IPRange": network.chosen} if network.chosen else {})

    def hardware_address(self, at: Attachment) -> str:
        """What the network knows it by; "" where the engine makes it of the address, always the same."""
        return ""

    def _seccomp(self) -> str:
        return seccomp_profile()

    def _tmpfs(self, wanted: Container) -> dict[str, str]:
        return dict(wanted.tmpfs)

    def _more_limits(self) -> list[dict[str, Any]]:
        return []


@dataclass(frozen=True, slots=True)
class PodmanDialect(Dialect):
    """`rootless`: it belongs to an ordinary user, who is another one in its containers unless asked for."""

    rootless: bool = False
    cgroups: bool = True  # whether it has control groups for its containers

    @property
    def counts(self) -> bool:
        return self.cgroups

    def more_host_options(self) -> dict[str, Any]:
        return {"UsernsMode": "keep-id"} if self.rootless else {}

    def network_options(self, network: Network) -> dict[str, str] | None:
        return None  # it refuses those that it does not know

    def pool(self, network: Network) -> dict[str, str]:
        """It gives nobody an address beside those that it chooses from; it chooses each one in turn."""
        return {"Subnet": network.subnet}

    def hardware_address(self, at: Attachment) -> str:
        """It makes a new one each time; who knew the one before would talk to nobody for a minute."""
        packed = ipaddress.IPv4Address(at.address).packed if at.address else b""
        return ":".join(f"{byte:02x}" for byte in (*_OURS, *packed)) if packed else ""

    def _seccomp(self) -> str:
        return str(seccomp_file())  # which it reads itself

    def _tmpfs(self, wanted: Container) -> dict[str, str]:
        """It knows no owner of a tmpfs: there is but one user in a container, and so all may write."""
        closed = dict.fromkeys(_MADE_WRITABLE, _CLOSED) if wanted.read_only else {}
        return closed | {place: _OWNER.sub(",mode=1777", how) for place, how in wanted.tmpfs.items()}

    def _more_limits(self) -> list[dict[str, Any]]:
        return [_processes()]


def small_limits() -> list[dict[str, Any]]:
    """For who only looks around: Podman, unless told, asks for more than its own service may have."""
    return [_limit("nofile", 1024), _processes()]


def _processes() -> dict[str, Any]:
    """Of one user of the machine in all; `pids_limit` is what limits a container."""
    _, ours = resource.getrlimit(resource.RLIMIT_NPROC)
    return _limit("nproc", _PROCESSES if ours == resource.RLIM_INFINITY else min(ours, _PROCESSES))


def _limit(name: str, most: int) -> dict[str, Any]:
    return {"Name": name, "Soft": most, "Hard": most}


DOCKER: Final = Dialect()


def dialect_of(*, podman: bool, owner: int) -> Dialect:
    """`owner`: the user that the engine runs as."""
    rootless = owner != 0
    return PodmanDialect(rootless, cgroups=not rootless or _UNIFIED.exists()) if podman else DOCKER

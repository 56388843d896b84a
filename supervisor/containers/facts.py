"""What each container is made of: image, user, mounts, networks, limits. Pure facts, no engine.

The Docker runtime, `compose.yaml` and `claude-container run` go by these facts, and a test holds them
to each other. A container never gets the engine's socket, the host's network or more than it needs:

- a plugin: the workspace, its own state, the sockets' directory, the supervisor's socket; no network, but
  for one without a way out when its tool has a gateway.
- a gateway: its own state and the supervisor's socket, never the workspace; that network, and one out.
- the agent: the workspace, and the wrappers and sockets read-only; the network that its own gateway is on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Final

from plugins.base.control import StartConfig
from plugins.base.doors import is_gateway
from plugins.base.egress import MODULE as EGRESS
from plugins.git import addresses
from supervisor.containers.names import (
    AGENT,
    LABEL_HOME,
    LABEL_INSTANCE,
    LABEL_PLUGIN,
    image,
    instance_of,
    name_of,
)
from supervisor.containers.network_facts import (
    Attachment,
    Network,
    gateway_address,
    outer_network,
    plugin_address,
)
from supervisor.gateways import tool_of_image
from supervisor.home import Home

# ---------------------------------------------------------------- where things are inside

WORKSPACE: Final = "/workspace"
SOCKETS: Final = "/run/plugins"
CONTROL: Final = "/run/control"  # the supervisor's socket: never where the agent is
START: Final = "/run/start/start.json"
STATE: Final = "/var/lib/claude-container"
PROGRAM: Final = "/opt/claude-container"  # in every plugin image
PYTHON: Final = f"{PROGRAM}/bin/python"
CLIENT: Final = f"{PROGRAM}/bin/plugin-client"
WRAPPERS: Final = "/opt/claude-container/cli"  # the agent's: the home's cli/
TOOL_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
AGENT_HOME: Final = "/home/agent"

_MIB: Final = 1024 * 1024
# Nothing of the host is mounted over these.
_OF_THE_IMAGE: Final = (
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/run", "/sbin", "/sys",
    "/usr", PROGRAM, STATE, WORKSPACE,
)  # fmt: skip
_NOWHERE: Final = "127.0.0.1"  # a resolver that nobody runs: no name leaves an inner network
_GIVE_UP_SOON: Final = ("timeout:1", "attempts:1")  # who asks it is told so in two seconds, not in twenty


def seccomp_profile() -> str:
    """The system calls that containers may make, as Docker takes it (JSON).

    The engine's own profile is not used: old ones refuse Landlock, which the worker needs.
    """
    return seccomp_file().read_text(encoding="utf-8")


def seccomp_file() -> Path:
    """The same as Podman takes it: a file that it reads itself."""
    return Path(str(resources.files("supervisor"))).joinpath("seccomp.json")


# ---------------------------------------------------------------- the facts


@dataclass(frozen=True, slots=True)
class User:
    """Whose files the workspace has: containers run as that user."""

    uid: int
    gid: int

    def __str__(self) -> str:
        return f"{self.uid}:{self.gid}"


def own_user() -> User:
    """Who runs the supervisor: the home is theirs, and so is what plugins write into the workspace."""
    return User(os.getuid(), os.getgid())


@dataclass(frozen=True, slots=True)
class Mount:
    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Container:
    """Everything that a container is created with. The defaults are the hardening that all have."""

    name: str
    image: str
    command: tuple[str, ...]
    user: User
    mounts: tuple[Mount, ...]
    labels: Mapping[str, str]
    networks: tuple[Attachment, ...] = ()  # none: not even a loopback to the outside
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    tmpfs: Mapping[str, str] = field(default_factory=lambda: MappingProxyType(TMPFS))
    dns: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()  # as in resolv.conf(5)
    hostname: str = ""
    working_directory: str = "/"
    read_only: bool = True
    cap_drop: tuple[str, ...] = ("ALL",)
    no_new_privileges: bool = True
    seccomp: bool = True  # the profile of `seccomp_profile`
    pids: int = 1024
    memory_bytes: int = 4096 * _MIB  # swap included
    files: int = 16384  # RLIMIT_NOFILE
    locked_bytes: int = 8 * _MIB  # RLIMIT_MEMLOCK, for secrets; not more than rootless engines may give
    stop_seconds: int = 10
    init: bool = False  # a first process that waits for orphans and passes signals on
    stdin: bool = False  # kept open for who attaches to it, and closed when they go
    tty: bool = False
    logged: bool = True  # whether the engine keeps what it writes


TMPFS: Final[dict[str, str]] = {"/tmp": "rw,nosuid,nodev,noexec,size=64m,mode=1777"}  # noqa: S108 -- in the container
_AGENT_TMPFS: Final[dict[str, str]] = {
    "/tmp": "rw,nosuid,nodev,exec,size=1g,mode=1777"  # noqa: S108 -- in the container
}
_ENVIRONMENT: Final[dict[str, str]] = {
    "PATH": TOOL_PATH, "LANG": "C.UTF-8", "HOME": "/tmp", "PYTHONUNBUFFERED": "1",  # noqa: S108
    "PYTHONDONTWRITEBYTECODE": "1",
}  # fmt: skip


# ---------------------------------------------------------------- the containers


def inside(config: StartConfig, network: Network | None) -> StartConfig:
    """The start configuration as it reads inside the container."""
    at = gateway_address(network) if network is not None else ""
    return config.model_copy(
        update={
            "socket": f"{SOCKETS}/{Path(config.socket).name}",
            "control": f"{CONTROL}/{Path(config.control).name}",
            "workspace": WORKSPACE, "alias": _alias(config.workspace),
            "state": STATE, "client": CLIENT, "path": TOOL_PATH,
            "origin": addresses.anchored(config.origin, config.workspace),
            "gateway": _moved(config.gateway, at), "stream": _moved(config.stream, at),
        }
    )  # fmt: skip


def _moved(address: str, host: str) -> str:
    """The same door at another host: [http://]HOST:PORT[/CAPABILITY]."""
    if not address or not host:
        return ""
    scheme, separator, rest = address.rpartition("://")
    return f"{scheme}{separator}{host}:{rest.partition(':')[2]}"


def of_plugin(
    config: StartConfig, home: Home, user: User, version: str, network: Network | None
) -> Container:
    """The container of a plugin, or of a gateway. `network` is the inner one, when the tool has a gateway."""
    instance, gateway = instance_of(home), is_gateway(config.plugin)
    mounts = (
        Mount(str(home.container_start(config.plugin)), str(Path(START).parent), read_only=True),
        Mount(str(Path(config.control).parent), CONTROL, read_only=True),
        Mount(config.state, STATE),
    )
    return Container(
        name=name_of(home, config.plugin),
        image=image(tool_of_image(config.plugin), version),
        command=(PYTHON, "-P", "-m", config.module, START),
        user=user,
        mounts=(*mounts, *(_local_origin(config) if gateway else _of_the_agents_side(config, home))),
        labels=labels(home, config.plugin),
        networks=_attached(instance, network, gateway=gateway),
        environment=MappingProxyType(_ENVIRONMENT),
        dns=() if gateway else (_NOWHERE,),
        hostname=config.plugin,
        memory_bytes=(1024 if gateway else 4096) * _MIB,
    )


def _of_the_agents_side(config: StartConfig, home: Home) -> tuple[Mount, ...]:
    alias = _alias(config.workspace)
    there = (Mount(config.workspace, alias),) if alias else ()
    return (Mount(config.workspace, WORKSPACE), *there, Mount(str(home.sockets), SOCKETS))


def _alias(workspace: str) -> str:
    """The workspace's own path, for commands typed on the host; "" where it would cover the image."""
    return "" if _covers_the_image(workspace) else workspace


def _covers_the_image(path: str) -> bool:
    return any(Path(path).is_relative_to(place) for place in _OF_THE_IMAGE)


def _local_origin(config: StartConfig) -> tuple[Mount, ...]:
    """An origin on this machine's disk, which the gateway alone reaches, under the name that it goes by."""
    origin = addresses.anchored(config.origin, config.workspace)
    if not origin.startswith("/") or config.module == EGRESS:
        return ()
    real = addresses.real_path(origin)
    workspace = Path(config.workspace).resolve()
    inside_it = Path(real).is_relative_to(workspace) or workspace.is_relative_to(real)
    if _covers_the_image(origin) or inside_it or not Path(real).is_dir():
        return ()
    return (Mount(real, origin),)


def _attached(instance: str, network: Network | None, *, gateway: bool) -> tuple[Attachment, ...]:
    if network is None:
        return ()
    if not gateway:
        return (Attachment(network, plugin_address(network)),)
    return (Attachment(network, gateway_address(network)), Attachment(outer_network(instance)))


def of_agent(
    home: Home, workspace: Path, user: User, version: str, command: tuple[str, ...] = (), at: str = WORKSPACE,
    network: Network | None = None,
) -> Container:  # fmt: skip
    """The agent's container. What it may know beside (its API key) is the caller's to add.

    Its name is not fixed here: there may be several at once. `at` is where the plugins see the workspace: for
    those that are processes of this machine, where it really is. `network` is the one that it is on, if any.
    """
    outside = network is not None and not network.internal
    return Container(
        name="",
        image=image(AGENT, version),
        command=command,
        user=user,
        mounts=(
            Mount(str(workspace), at),
            Mount(str(home.cli), WRAPPERS, read_only=True),
            Mount(str(home.sockets), SOCKETS, read_only=True),
        ),
        labels=labels(home),
        networks=(Attachment(network),) if network is not None else (),
        dns=() if outside else (_NOWHERE,),
        dns_options=() if outside else _GIVE_UP_SOON,
        environment=MappingProxyType(
            {"PATH": f"{WRAPPERS}:{TOOL_PATH}", "LANG": "C.UTF-8", "HOME": AGENT_HOME}
        ),
        tmpfs=MappingProxyType({**_AGENT_TMPFS, AGENT_HOME: f"{_home_options(user)}"}),
        hostname=AGENT,
        working_directory=at,
        pids=4096,
        memory_bytes=8192 * _MIB,
        init=True,
        stdin=True,
        logged=False,
    )


def _home_options(user: User) -> str:
    return f"rw,nosuid,nodev,exec,size=2g,mode=0700,uid={user.uid},gid={user.gid}"


def labels(home: Home, plugin: str = "") -> Mapping[str, str]:
    """What tells our containers and networks from everybody else's."""
    ours = {LABEL_HOME: str(home.root), LABEL_INSTANCE: instance_of(home)}
    return MappingProxyType({**ours, LABEL_PLUGIN: plugin} if plugin else ours)


def has_network(config: StartConfig) -> bool:
    """Whether the plugin's tool has a gateway, and so a network to reach it."""
    return bool(config.gateway)

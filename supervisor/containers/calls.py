"""Containers of one instance, by an engine's low-level client. Blocking; raises `EngineError`s.

What does not carry the instance's label is never touched, whatever its name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from supervisor.containers.dialect import DOCKER, Dialect
from supervisor.containers.engine_errors import EngineError, NotRunning, NotThere, Taken
from supervisor.containers.facts import Container
from supervisor.containers.names import AGENT, LABEL_INSTANCE, LABEL_PLUGIN
from supervisor.containers.network_facts import Attachment
from supervisor.containers.stream import Stream

LABEL_MADE: Final = "claude-container.made"  # hash of everything that a container was made of
_FRACTION: Final = re.compile(r"\.(\d{1,6})\d*")


@dataclass(frozen=True, slots=True)
class Found:
    """A container as the engine has it."""

    id: str
    name: str
    plugin: str
    made: str
    running: bool
    pid: int = 0
    started: float = 0.0  # seconds since the epoch; 0: never
    exit_code: int | None = None  # None while it runs
    out_of_memory: bool = False


@dataclass(frozen=True, slots=True)
class ContainerCalls:
    """The containers of the instance `instance`."""

    api: Any
    translated: Callable[[], AbstractContextManager[None]]
    dialect: Dialect
    instance: str

    # ------------------------------------------------------------ looking

    def all(self) -> list[Found]:
        """Every container of a plugin of this instance, running or not."""
        with self.translated():
            listed = self.api.containers(
                all=True, filters={"label": [f"{LABEL_INSTANCE}={self.instance}", LABEL_PLUGIN]}
            )
        found = (self.look(str(entry["Id"])) for entry in listed)
        return [container for container in found if container is not None and container.plugin != AGENT]

    def look(self, name: str) -> Found | None:
        """The container with this id or name; None when there is none of ours."""
        try:
            with self.translated():
                facts = self.api.inspect_container(name)
        except NotThere:
            return None
        found = _found(facts)
        return found if _labels(facts).get(LABEL_INSTANCE) == self.instance else None

    # ------------------------------------------------------------ doing

    def create(self, wanted: Container, image: str) -> str:
        """Make the container, not yet running; returns its id. One of ours with its name gives way."""
        self.remove(wanted.name)
        first = wanted.networks[0] if wanted.networks else None
        with self.translated():
            created = self.api.create_container(
                image, list(wanted.command), name=wanted.name, hostname=wanted.hostname or None,
                user=str(wanted.user), environment=dict(wanted.environment), entrypoint=[],
                working_dir=wanted.working_directory, stop_timeout=wanted.stop_seconds,
                stdin_open=wanted.stdin, tty=wanted.tty,
                labels={**wanted.labels, LABEL_MADE: made_of(wanted, image)},
                host_config=self._host_config(wanted),
                networking_config=self._endpoints(first) if first else None,
            )  # fmt: skip
            identity = str(created["Id"])
            try:
                for each in wanted.networks[1:]:
                    self.api.connect_container_to_network(
                        identity, each.network.name, ipv4_address=each.address or None
                    )
            except BaseException:
                self.api.remove_container(identity, force=True)
                raise
        return identity

    def _host_config(self, wanted: Container) -> dict[str, Any]:
        made = self.api.create_host_config(**self.dialect.host_options(wanted))
        return {**made, **self.dialect.more_host_options()}

    def _endpoints(self, at: Attachment) -> Any:
        settings = self.api.create_endpoint_config(
            ipv4_address=at.address or None, mac_address=self.dialect.hardware_address(at) or None
        )
        return self.api.create_networking_config({at.network.name: settings})

    def start(self, identity: str) -> None:
        with self.translated():
            self.api.start(identity)

    def signal(self, identity: str, name: str) -> None:
        """Send a signal; nothing happens when it does not run (any more)."""
        with suppress(NotThere, NotRunning, Taken), self.translated():
            self.api.kill(identity, name)

    def stop(self, identity: str, seconds: int) -> None:
        """Let it end, for so long; then end it."""
        with suppress(NotThere), self.translated():
            self.api.stop(identity, timeout=seconds)

    def remove(self, name: str) -> None:
        """Remove it, running or not. Raises `Taken` when somebody else has the name."""
        found = self.look(name)
        if found is None:
            self._check_free(name)
            return
        self.remove_at_once(found.id)

    def remove_at_once(self, identity: str) -> None:
        """Without the seconds to end by itself that Podman gives even to what is removed by force."""
        self.signal(identity, "SIGKILL")
        with suppress(NotThere, Taken), self.translated():  # taken: it is being removed already
            self.api.remove_container(identity, force=True, v=True)

    def _check_free(self, name: str) -> None:
        with suppress(NotThere), self.translated():
            self.api.inspect_container(name)
            raise Taken(
                f"There is a container {name} already that is not ours.",
                hint=f"Remove it if nobody needs it: docker rm -f {name}",
            )

    # ------------------------------------------------------------ watching

    def stats(self, identity: str) -> tuple[float, int] | None:
        """Seconds of CPU since it started, and bytes of memory; None when it does not run."""
        try:
            with self.translated():
                return _usage(self.api.stats(identity, stream=False, one_shot=True))
        except (EngineError, KeyError, TypeError):
            return None

    def events(self) -> Stream:
        """What happens to our containers, as the engine sends it."""
        labels = [f"{LABEL_INSTANCE}={self.instance}", LABEL_PLUGIN]
        with self.translated():
            return Stream(self.api.events(decode=True, filters={"type": "container", "label": labels}))

    def logs(self, identity: str, since: int) -> Stream:
        """What it wrote since then (seconds since the epoch) and goes on writing.

        Each piece begins with its time, and a space.
        """
        with self.translated():
            pieces = self.api.logs(
                identity, stdout=True, stderr=True, stream=True, follow=True, timestamps=True,
                since=since or None,
            )  # fmt: skip
            return Stream(pieces)


def made_of(wanted: Container, image: str) -> str:
    """Names everything that the container is made of: one with another name is to be replaced."""
    facts = repr((image, wanted.command, DOCKER.host_options(wanted), sorted(wanted.environment.items()),
                  wanted.networks, str(wanted.user)))  # fmt: skip
    return hashlib.sha256(facts.encode()).hexdigest()[:32]


# ---------------------------------------------------------------- what the engine says


def _found(facts: Mapping[str, Any]) -> Found:
    state, labels = facts["State"], _labels(facts)
    running = bool(state.get("Running"))
    return Found(
        id=str(facts["Id"]),
        name=str(facts.get("Name", "")).lstrip("/"),
        plugin=labels.get(LABEL_PLUGIN, ""),
        made=labels.get(LABEL_MADE, ""),
        running=running,
        pid=int(state.get("Pid") or 0),
        started=_seconds(str(state.get("StartedAt", ""))),
        exit_code=None if running else int(state.get("ExitCode") or 0),
        out_of_memory=bool(state.get("OOMKilled")),
    )


def _labels(facts: Mapping[str, Any]) -> Mapping[str, str]:
    return facts.get("Config", {}).get("Labels") or {}


def _seconds(text: str) -> float:
    """A time like 2026-11-25T14:00:00.123456789Z; 0 for none."""
    try:
        moment = datetime.fromisoformat(_FRACTION.sub(r".\1", text))
    except ValueError:
        return 0.0
    return max(0.0, moment.timestamp()) if moment.year > 1 else 0.0


def _usage(stats: Mapping[str, Any]) -> tuple[float, int] | None:
    """Memory is without file pages that the kernel may drop at any time, as `docker stats` has it."""
    memory = stats["memory_stats"]
    if "usage" not in memory:
        return None
    details = memory.get("stats") or {}
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    used = memory["usage"] - cache if cache < memory["usage"] else memory["usage"]
    return stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9, int(used)

"""The networks of one instance, by an engine's low-level client. Blocking; raises `EngineError`s.

Several programs of one home may want the same network at once: whoever comes second uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from supervisor.containers.dialect import Dialect
from supervisor.containers.engine_errors import EngineError, NotThere, Taken
from supervisor.containers.names import LABEL_INSTANCE
from supervisor.containers.network_facts import Network, inner_network, outer_network

_ATTEMPTS: Final = 16  # subnets that are tried


@dataclass(frozen=True, slots=True)
class ContainerNetworks:
    """The networks of the instance whose `labels` these are."""

    api: Any
    translated: Callable[[], AbstractContextManager[None]]
    dialect: Dialect
    labels: Mapping[str, str]

    @property
    def instance(self) -> str:
        return self.labels[LABEL_INSTANCE]

    def inner(self, tool: str) -> Network:
        """The network between a plugin and its gateway, made when it is missing."""
        for attempt in range(_ATTEMPTS):
            wanted = inner_network(self.instance, tool, attempt)
            found = self._find(wanted)
            if found is not None:
                return found
            with suppress(Taken):  # by another network of this machine, or by who made ours just now
                self._create(wanted)
                return wanted
        raise Taken(
            f"No subnet is free for the network of {tool}.",
            hint="Remove networks that nobody uses: docker network prune",
        )

    def outer(self) -> Network:
        """The way out, made when it is missing."""
        wanted = outer_network(self.instance)
        if self._find(wanted) is None:
            with suppress(Taken):
                self._create(wanted)
        return wanted

    def remove_unused(self) -> None:
        """Remove those of ours that no container is on."""
        with self.translated():
            listed = self.api.networks(filters={"label": f"{LABEL_INSTANCE}={self.instance}"})
        for each in listed:
            with suppress(EngineError), self.translated():  # in use: by the agent's container
                self.api.remove_network(each["Id"])

    def remove_all(self) -> None:
        """Remove them, unless there is a container of ours that may want one."""
        ours = {"label": f"{LABEL_INSTANCE}={self.instance}"}
        with suppress(EngineError), self.translated():
            if not self.api.containers(all=True, filters=ours):
                self.remove_unused()

    def _find(self, wanted: Network) -> Network | None:
        try:
            with self.translated():
                facts = self.api.inspect_network(wanted.name)
        except NotThere:
            return None
        if (facts.get("Labels") or {}).get(LABEL_INSTANCE) != self.instance:
            raise Taken(
                f"There is a network {wanted.name} already that is not ours.",
                hint=f"Remove it if nobody needs it: docker network rm {wanted.name}",
            )
        return replace(wanted, subnet=_subnet(facts)) if wanted.subnet else wanted

    def _create(self, wanted: Network) -> None:
        pools = {"Driver": "default", "Config": [self.dialect.pool(wanted)]} if wanted.subnet else None
        with self.translated():
            self.api.create_network(
                wanted.name, driver="bridge", internal=wanted.internal, check_duplicate=True,
                options=self.dialect.network_options(wanted), labels=dict(self.labels), ipam=pools,
            )  # fmt: skip


def _subnet(facts: Mapping[str, Any]) -> str:
    config = (facts.get("IPAM") or {}).get("Config") or [{}]
    return str(config[0].get("Subnet", ""))

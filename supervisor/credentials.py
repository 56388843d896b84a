"""The credentials that gateways get: taken out of the environment, in locked memory, for them alone."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Final

from plugins.base.doors import is_gateway, tool_of
from plugins.base.errors import ClaudeContainerError
from plugins.base.secrets import Secret, take_from_environment
from supervisor.gateways import own_gateway
from supervisor.policies.store import PolicyStore

_USUAL: Final = ("GITHUB_TOKEN", "GH_TOKEN")


class Credentials:
    """Holds what was taken. Knows for each gateway which ones are its own."""

    def __init__(self, store: PolicyStore) -> None:
        self._store = store
        self._secrets: dict[str, Secret] = {}

    def take(self) -> None:
        """Take every variable that a policy names out of this process's environment."""
        self._secrets |= take_from_environment(variables(self._store))

    def values(self, plugin: str) -> dict[str, str]:
        """The credentials of a gateway, by environment variable; no other plugin has any."""
        if not _may_have(plugin):
            return {}
        names = [name for name in _named(self._store, tool_of(plugin)) if name in self._secrets]
        return {name: os.fsdecode(self._secrets[name].reveal()) for name in names}

    def renew(self, values: Mapping[str, str]) -> None:
        """Hold new values from now on."""
        for name, value in values.items():
            old = self._secrets.get(name)
            self._secrets[name] = Secret(value.encode("utf-8", "surrogateescape"))
            if old is not None:
                old.wipe()

    def wanted(self, plugin: str, values: Mapping[str, str]) -> dict[str, str]:
        """The values that this gateway's policy names."""
        named = set(_named(self._store, tool_of(plugin))) if _may_have(plugin) else ()
        return {name: value for name, value in values.items() if name in named}


def variables(store: PolicyStore) -> tuple[str, ...]:
    """The environment variables that any policy with a gateway names."""
    named = [name for tool in store.names() if own_gateway(tool) for name in _named(store, tool)]
    return tuple(dict.fromkeys((*named, *_USUAL)))


def present(store: PolicyStore) -> dict[str, str]:
    """Those of them that this process's environment has, with their values."""
    return {name: value for name in variables(store) if (value := os.environ.get(name))}


def _may_have(plugin: str) -> bool:
    """A gateway that its plugin brings: one that a policy's `network` makes has no credentials."""
    return is_gateway(plugin) and bool(own_gateway(tool_of(plugin)))


def _named(store: PolicyStore, tool: str) -> Iterable[str]:
    try:
        policy = store.read(tool).policy
    except ClaudeContainerError:
        return ()
    return tuple(dict.fromkeys(policy.credentials.values())) if policy is not None else ()

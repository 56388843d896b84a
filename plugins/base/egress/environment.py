"""How tools are told of the gateway: the variables that name a proxy. Pure.

curl, git, npm, pip, Python itself, Go and cargo go by HTTPS_PROXY; some read the lower case alone, and node's
own fetch wants to be told that it may. Whoever ignores all this reaches nothing: no other port is open.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from plugins.base.doors import door
from plugins.base.egress.request import USER

_NAMES: Final = ("HTTPS_PROXY", "HTTP_PROXY")
# npm's own settings come before the variables above, in whatever case; so do those in a project's .npmrc, but
# for a variable of npm's own. One that is empty would not count.
_NPM: Final = ("npm_config_proxy", "npm_config_https_proxy")
_NPM_NONE_BESIDE: Final = {"npm_config_noproxy": "none.invalid"}
_OVERRIDING: Final = frozenset(
    f"npm_config_{name}" for name in ("proxy", "http_proxy", "https_proxy", "noproxy", "no_proxy")
)


def through(gateway: str, command: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for a tool whose gateway is at http://ADDRESS:PORT/CAPABILITY.

    `command` is the id of the command, for the audit log.
    """
    kept = {name: value for name, value in environment.items() if name.lower() not in _OVERRIDING}
    of_npm = dict.fromkeys(_NPM, _proxy(gateway, command))
    return kept | proxies(gateway, command) | of_npm | _NPM_NONE_BESIDE


def proxies(gateway: str, command: str, beside: str = "") -> dict[str, str]:
    """The variables that are no tool's own. `beside`: hosts that need no proxy, with commas between."""
    values = dict.fromkeys(_NAMES, _proxy(gateway, command)) | {"NO_PROXY": beside, "ALL_PROXY": ""}
    spelled = {name: value for upper, value in values.items() for name in (upper, upper.lower())}
    return spelled | {"NODE_USE_ENV_PROXY": "1"}


def _proxy(gateway: str, command: str) -> str:
    at = door(gateway)
    return f"http://{USER}-{command}:{at.capability}@{at.host}:{at.port}"

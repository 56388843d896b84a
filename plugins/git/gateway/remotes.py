"""Which remotes the gateway talks to, and which credential goes where. Holds the credentials.

A credential is sent only to a host that `credential_hosts` binds it to, and there only for a
repository that `remotes` allows.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import aiohttp

from plugins.base.policy import Policy
from plugins.base.secrets import Secret
from plugins.git.gateway.http_upstream import Authorization, HttpUpstream
from plugins.git.gateway.local_upstream import LocalUpstream
from plugins.git.gateway.upstream import RemoteRefused, Upstream
from plugins.git.urls import ORIGIN, GitUrl, covers, host_name, parse_url

_USER: Final = b"x-access-token:"  # what GitHub and its kin expect beside a token
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(frozen=True, slots=True)
class AllowedRemotes:
    """The policy's `remotes`, as the gateway reads them."""

    policy: Callable[[], Policy | None]
    origin: str  # pinned when the workspace was first started; "" when there was none
    secrets: Mapping[str, Secret]
    session: aiohttp.ClientSession
    home: Path
    workspace: Path | None = None  # what lies there the agent writes, configuration and hooks included
    moved: dict[str, str] = field(default_factory=dict)  # what redirects said, by what was asked for

    def for_fetch(self, scheme: str, rest: str) -> Upstream:
        """The remote to fetch from. Raises `RemoteRefused` when policy does not allow it.

        What may be pushed to may be fetched from: a push shows the refs as well.
        """
        policy = self._valid_policy()
        return self._open(scheme, rest, (*policy.remotes.fetch, *policy.remotes.push), "remotes.fetch")

    def for_push(self, scheme: str, rest: str) -> Upstream:
        return self._open(scheme, rest, self._valid_policy().remotes.push, "remotes.push")

    def _valid_policy(self) -> Policy:
        policy = self.policy()
        if policy is None:
            raise RemoteRefused("There is no valid policy, so no remote may be used.")
        return policy

    def _open(self, scheme: str, rest: str, allowed: tuple[str, ...], rule: str) -> Upstream:
        url = parse_url("/" + rest if scheme == "file" else f"{scheme}://{rest}")
        if url is None:
            raise RemoteRefused("This is not the URL of a repository that can be used.")
        if not self._names(allowed, url):
            raise RemoteRefused(
                f"{url} is not allowed by the policy ({rule}).",
                hint=f"Use origin{f' ({self._pinned()})' if self.origin else ''}.",
            )
        if url.scheme == "file":
            return LocalUpstream(self._outside(Path(url.path)), home=self.home)
        if url.scheme == "http" and not self._plain_allowed(url, allowed):
            raise RemoteRefused(
                f"{url} is not encrypted; name it with http:// under `remotes` to allow that."
            )
        # The server may need the suffix that the normal form leaves out.
        suffix = ".git" if rest.endswith(".git") else ""
        return HttpUpstream(
            self.session, f"{url}{suffix}", authorize=self._authorization,
            allowed=lambda text: self._allows(allowed, text), moved=self.moved,
        )  # fmt: skip

    def _outside(self, path: Path) -> Path:
        """The path, if it does not lead to where the agent writes: git would run its hooks here, as us."""
        try:
            inside = self.workspace is not None and path.resolve().is_relative_to(self.workspace.resolve())
        except (OSError, RuntimeError):
            raise RemoteRefused(f"{path} cannot be used as a remote.") from None
        if inside:
            raise RemoteRefused(
                f"{path} lies in the workspace, so it is not served from here.",
                hint="Use it by its path: git reaches it by itself.",
            )
        return path

    def _pinned(self) -> str:
        return str(parse_url(self.origin) or "")

    def _names(self, allowed: Iterable[str], url: GitUrl) -> bool:
        return any(covers(pattern, url, self.origin) for pattern in allowed)

    def _allows(self, allowed: Iterable[str], text: str) -> bool:
        url = parse_url(text)
        return url is not None and self._names(allowed, url)

    def _plain_allowed(self, url: GitUrl, allowed: Iterable[str]) -> bool:
        """Without encryption: on this machine, or where the operator wrote http:// in full."""
        return host_name(url) in _LOOPBACK or any(
            pattern.startswith("http://") and covers(pattern, url, self.origin) for pattern in allowed
        )

    def _authorization(self, text: str) -> Authorization | None:
        """The credential for a repository, if one is bound to its host and policy names the repository."""
        policy, url = self.policy(), parse_url(text)
        if policy is None or url is None or not self._named_closely(policy, url):
            return None
        for name, hosts in policy.credential_hosts.items():
            variable = policy.credentials.get(name, "")
            secret = self.secrets.get(variable)
            if secret is not None and host_name(url) in hosts:
                return Authorization(name, partial(_basic, secret))
        return None

    def _named_closely(self, policy: Policy, url: GitUrl) -> bool:
        """Whether `remotes` names this repository or its owner: a whole host is fetched without it."""
        for pattern in (*policy.remotes.push, *policy.remotes.fetch):
            if not covers(pattern, url, self.origin):
                continue
            named = parse_url(self.origin if pattern == ORIGIN else pattern)
            if named is not None and "*" not in named.path.partition("/")[0]:
                return True
        return False


def _basic(secret: Secret) -> str:
    return "Basic " + base64.b64encode(_USER + secret.reveal()).decode("ascii")

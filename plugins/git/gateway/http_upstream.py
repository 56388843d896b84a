"""A repository behind smart HTTP: redirects only where policy allows, the credential only where bound.

Of the client's headers none is passed on; of the remote's answers only a body of the expected type.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin, urlsplit

import aiohttp

from plugins.base.redact import redact
from plugins.git.gateway.upstream import Body, RemoteRefused, UpstreamError

_MAX_REDIRECTS: Final = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_AGENT: Final = "git/claude-container"
_CHUNK: Final = 1 << 18
_MOST_MOVED: Final = 1000


@dataclass(frozen=True, slots=True)
class Authorization:
    """A credential bound to a host, ready to be sent: its name for people, its header for the host."""

    name: str  # e.g. "GITHUB_TOKEN"
    header: Callable[[], str]


Authorize = Callable[[str], Authorization | None]  # repository URL -> what may be sent there
Allowed = Callable[[str], bool]  # repository URL -> whether policy allows it


class HttpUpstream:
    """A repository given by its URL, without userinfo."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, *, authorize: Authorize, allowed: Allowed,
        moved: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        """`moved`: where repositories were last redirected to, for requests that carry data."""
        self.url = url
        self._asked = url
        self._moved = {} if moved is None else moved
        self._session = session
        self._authorize = authorize
        self._allowed = allowed

    @asynccontextmanager
    async def advertise(self, service: str, protocol: str) -> AsyncIterator[AsyncIterator[bytes]]:
        suffix = f"/info/refs?service={service}"
        for _ in range(_MAX_REDIRECTS + 1):
            async with self._open("GET", suffix, protocol) as response:
                if response.status not in _REDIRECTS:
                    self._remember()
                    self._check(response, f"application/x-{service}-advertisement")
                    yield response.content.iter_chunked(_CHUNK)
                    return
                self._follow(response, suffix)
        raise RemoteRefused(f"{self.url} redirects too often.")

    @asynccontextmanager
    async def request(self, service: str, body: Body, protocol: str) -> AsyncIterator[AsyncIterator[bytes]]:
        self._go_where_it_moved()
        async with self._open("POST", f"/{service}", protocol, body, service) as response:
            if response.status in _REDIRECTS:
                raise RemoteRefused(f"{self.url} redirects a request that carries data; it is not followed.")
            self._check(response, f"application/x-{service}-result")
            yield response.content.iter_chunked(_CHUNK)

    @asynccontextmanager
    async def _open(
        self, method: str, suffix: str, protocol: str, body: Body | None = None, service: str = ""
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {"User-Agent": _AGENT, "Accept-Encoding": "identity", "Pragma": "no-cache"}
        if protocol:
            headers["Git-Protocol"] = protocol
        if body is not None:
            headers |= _body_headers(service, body)
        if authorization := self._authorize(self.url):
            headers["Authorization"] = authorization.header()
        try:
            async with self._session.request(
                method, self.url + suffix, headers=headers, allow_redirects=False,
                data=None if body is None else body.chunks,
            ) as response:  # fmt: skip
                yield response
        except (aiohttp.ClientError, TimeoutError) as error:
            # Some of aiohttp's errors repeat request headers: only the kind and the host are told.
            raise UpstreamError(_unreachable(self.url, error)) from None

    def _follow(self, response: aiohttp.ClientResponse, suffix: str) -> None:
        """Go on at the place that a redirect names, if it is a repository that policy allows."""
        try:
            target = urljoin(str(response.url), response.headers.get("Location", ""))
            base = target.removesuffix(suffix)
            parts = urlsplit(base)
        except ValueError:
            raise RemoteRefused(f"{self.url} redirects to something that is not a URL.") from None
        if base == target or parts.scheme not in ("https", "http") or "@" in parts.netloc:
            raise RemoteRefused(f"{self.url} redirects to something that is not a repository.")
        if urlsplit(self.url).scheme == "https" and parts.scheme != "https":
            raise RemoteRefused(f"{self.url} redirects to a connection without encryption.")
        if not self._allowed(base):
            raise RemoteRefused(
                f"{self.url} redirects to {redact(base)}, which the policy's remotes do not allow."
            )
        self.url = base

    def _remember(self) -> None:
        """Where the repository was found: a client asks for it by its old name with each request."""
        self._moved.pop(self._asked, None)
        if self.url != self._asked:
            if len(self._moved) >= _MOST_MOVED:
                self._moved.clear()
            self._moved[self._asked] = self.url

    def _go_where_it_moved(self) -> None:
        place = self._moved.get(self._asked, "")
        if place and self.url == self._asked and self._allowed(place):
            self.url = place

    def _check(self, response: aiohttp.ClientResponse, content_type: str) -> None:
        if response.status in (401, 403):
            raise UpstreamError(self._unauthorized(response.status))
        if response.status != 200:
            raise UpstreamError(f"{self.url} answered with HTTP status {response.status}.")
        if response.content_type != content_type:
            raise UpstreamError(f"{self.url} is not a git repository served by smart HTTP.")

    def _unauthorized(self, status: int) -> str:
        host = urlsplit(self.url).hostname
        authorization = self._authorize(self.url)
        if authorization is None:
            return f"{host} wants a credential for {self.url} (HTTP {status}), and none is bound to it."
        return f"{host} did not accept {authorization.name} for {self.url} (HTTP {status})."


def _body_headers(service: str, body: Body) -> dict[str, str]:
    headers = {
        "Content-Type": f"application/x-{service}-request",
        "Accept": f"application/x-{service}-result",
    }
    if body.gzip:
        headers["Content-Encoding"] = "gzip"
    if body.length is not None:
        headers["Content-Length"] = str(body.length)
    return headers


def _unreachable(url: str, error: Exception) -> str:
    host = urlsplit(url).hostname
    if isinstance(error, TimeoutError):
        return f"{host} did not answer in time."
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return f"The connection to {host} is not trusted: its certificate was not accepted."
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"{host} cannot be reached: {error.os_error.strerror or type(error.os_error).__name__}."
    return f"The connection to {host} broke off ({type(error).__name__})."

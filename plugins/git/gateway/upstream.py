"""The real remote, behind one interface: over smart HTTP, or a bare repository on this machine.

An `Upstream` is one repository that policy allows. It speaks the two halves of git's stateless
protocol (gitprotocol-http(5)): the advertisement, and one request with its answer. Both stream.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Protocol

from plugins.base.errors import Denied

UPLOAD_PACK: Final = "git-upload-pack"
RECEIVE_PACK: Final = "git-receive-pack"
SERVICES: Final = (UPLOAD_PACK, RECEIVE_PACK)


class UpstreamError(Denied):
    """The remote could not be reached, or refused; the message names no secret."""


class RemoteRefused(UpstreamError):
    """A remote that may not be used, whether it was asked for or a redirect leads there."""


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a request to the remote."""

    chunks: AsyncIterator[bytes]
    length: int | None = None  # None: not known beforehand
    gzip: bool = False


class Upstream(Protocol):
    """One repository."""

    url: str  # as shown to people: without credentials

    def advertise(self, service: str, protocol: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The answer to `info/refs`, with the service's banner. `protocol` is Git-Protocol's value."""

    def request(
        self, service: str, body: Body, protocol: str
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The answer to one request."""

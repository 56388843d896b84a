"""What an engine sends piece by piece, by the SDK's own stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self


class Stream:
    """Read it in one thread, as a context manager; `close` may be called from any, and the reading ends.

    The SDK's own `close` only wakes who reads. The connection is let go of by the reader, afterwards.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stream._response.close()

    @property
    def closed(self) -> bool:
        """Whether its connection was let go of."""
        return bool(self._stream._response.raw.closed)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._stream)

    def close(self) -> None:
        self._stream.close()

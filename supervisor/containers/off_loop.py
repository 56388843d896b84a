"""Blocking calls off the event loop, in threads that keep neither other work nor the program's end waiting.

The loop's own pool of threads is small, and a program waits for it when it ends; a call to an engine that
hangs would hold both up.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def off_loop(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call it in a thread of its own. Cancelled, it goes on in vain, and what it opens is let go of."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def work() -> None:
        try:
            value = function(*args, **kwargs)
        except BaseException as error:
            _tell(loop, _fail, result, error)
        else:
            if not _tell(loop, _succeed, result, value):
                _abandon(value)

    threading.Thread(target=work, name=getattr(function, "__name__", "off_loop"), daemon=True).start()
    return await result


def _tell(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *args: Any) -> bool:
    """False when the loop has ended: nobody wants to know any more."""
    try:
        loop.call_soon_threadsafe(call, *args)
    except RuntimeError:
        return False
    return True


def _succeed(result: asyncio.Future[T], value: T) -> None:
    if result.done():
        _abandon(value)
    else:
        result.set_result(value)


def _abandon(value: object) -> None:
    if isinstance(value, AbstractContextManager):
        with value:
            pass


def _fail(result: asyncio.Future[Any], error: BaseException) -> None:
    if not result.done():
        result.set_exception(error)

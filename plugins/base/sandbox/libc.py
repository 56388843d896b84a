"""The few kernel calls that Python has no name for, through the C library.

Small on purpose: the worker imports it before its sandbox stands. A failed call is an `OSError`.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any, Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long
_LIBC.prctl.restype = ctypes.c_int


def prctl(option: int, argument2: int = 0, argument3: int = 0) -> int:
    """prctl(2); the arguments not named are 0, as newer options demand."""
    words = (ctypes.c_ulong(word) for word in (argument2, argument3, 0, 0))
    return _checked(_LIBC.prctl(ctypes.c_int(option), *words))


def syscall(number: int, *arguments: Any) -> int:
    """syscall(2); an argument is a whole number, None (a null pointer) or a ctypes object."""
    return _checked(_LIBC.syscall(ctypes.c_long(number), *map(_word, arguments)))


def _word(argument: Any) -> Any:
    if argument is None:
        return ctypes.c_void_p(None)
    return ctypes.c_long(argument) if isinstance(argument, int) else argument


def _checked(result: int) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(result)

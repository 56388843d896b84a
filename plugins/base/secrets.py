"""Secrets in memory: taken out of the environment, locked, never in a core dump, never in a repr.

What is held here is copied only for the moment it is used. Python makes short-lived copies on the
way into a request; the locked buffer, the wiped environment and a process that cannot be dumped or
traced keep the rest of the machine from reading it.
"""

from __future__ import annotations

import ctypes
import hmac
import mmap
import os
from collections.abc import Iterable
from typing import Final, NoReturn

_MADV_DONTDUMP: Final = 16
_MADV_WIPEONFORK: Final = 18
_PR_SET_DUMPABLE: Final = 4

_libc = ctypes.CDLL(None, use_errno=True)


class Secret:
    """One secret in pages of its own: not swapped, not dumped, gone in forked children."""

    def __init__(self, value: bytes) -> None:
        self._length = len(value)
        self._pages = mmap.mmap(-1, max(1, len(value)))
        self.locked = _lock(self._pages)
        self._pages[: self._length] = value

    def reveal(self) -> bytes:
        """Return a copy, for the one request that needs it."""
        return self._pages[: self._length]

    def equals(self, other: bytes) -> bool:
        return hmac.compare_digest(self.reveal(), other)

    def wipe(self) -> None:
        """Overwrite and give back the memory. The secret cannot be used any more."""
        if not self._pages.closed:
            self._pages[:] = bytes(len(self._pages))
            self._pages.close()
        self._length = 0

    def __repr__(self) -> str:
        return "Secret(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled")


def _lock(pages: mmap.mmap) -> bool:
    """Lock the pages into memory; False where the limit (RLIMIT_MEMLOCK) forbids it."""
    address = ctypes.addressof(ctypes.c_char.from_buffer(pages))
    length = ctypes.c_size_t(len(pages))
    for advice in (_MADV_DONTDUMP, _MADV_WIPEONFORK):
        _libc.madvise(ctypes.c_void_p(address), length, advice)
    return bool(_libc.mlock(ctypes.c_void_p(address), length) == 0)


def forbid_dumps() -> None:
    """Make this process unreadable for others of its user: no core, no ptrace, no /proc/PID/environ."""
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def take_from_environment(names: Iterable[str]) -> dict[str, Secret]:
    """Move variables out of the environment into `Secret`s; unset and empty ones are left out.

    The strings that the kernel shows in /proc/PID/environ are overwritten, and so are the
    interpreter's own copies.
    """
    taken: dict[str, Secret] = {}
    for name in names:
        value = os.environb.get(os.fsencode(name))
        if value:
            taken[name] = Secret(value)
        if value is not None:
            _wipe_variable(os.fsencode(name))
            del os.environ[name]
            _overwrite(value)
    return taken


def _wipe_variable(name: bytes) -> None:
    """Zero the value in the process's environment block (environ(7))."""
    entries = ctypes.POINTER(ctypes.c_void_p).in_dll(_libc, "environ")
    prefix = name + b"="
    index = 0
    while entries and (address := entries[index]):
        if ctypes.string_at(address).startswith(prefix):
            value = address + len(prefix)
            ctypes.memset(value, 0, len(ctypes.string_at(value)))
        index += 1


def _overwrite(value: bytes) -> None:
    """Zero a bytes object in place: only for one that is about to be dropped."""
    offset = bytes.__basicsize__ - 1
    ctypes.memset(id(value) + offset, 0, len(value))

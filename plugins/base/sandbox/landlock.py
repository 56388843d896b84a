"""Landlock: which files, ports and processes a command can reach (landlock(7)).

Everything is denied but what `Access` lists. Older kernels know less; `missing` says so in words.

What no version of it limits: changing directory, `stat`, and `chmod`, `chown` and time stamps of
files that the worker's user owns anyway; descriptors that were open before; and, up to ABI 8, connecting
to Unix sockets by path (see `seccomp`, which refuses to connect at all).
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from plugins.base.sandbox.libc import syscall

# The numbers are the same on every architecture.
_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
_QUERY_VERSION: Final = 1

_PATH_BENEATH: Final = 1
_NET_PORT: Final = 2

# linux/landlock.h, LANDLOCK_ACCESS_FS_*
EXECUTE: Final = 1 << 0
WRITE_FILE: Final = 1 << 1
READ_FILE: Final = 1 << 2
READ_DIR: Final = 1 << 3
REMOVE_DIR: Final = 1 << 4
REMOVE_FILE: Final = 1 << 5
MAKE_CHAR: Final = 1 << 6
MAKE_DIR: Final = 1 << 7
MAKE_REG: Final = 1 << 8
MAKE_SOCK: Final = 1 << 9
MAKE_FIFO: Final = 1 << 10
MAKE_BLOCK: Final = 1 << 11
MAKE_SYM: Final = 1 << 12
REFER: Final = 1 << 13  # ABI 2
TRUNCATE: Final = 1 << 14  # ABI 3
IOCTL_DEV: Final = 1 << 15  # ABI 5

BIND_TCP: Final = 1 << 0  # ABI 4
CONNECT_TCP: Final = 1 << 1

SCOPE_ABSTRACT_UNIX_SOCKET: Final = 1 << 0  # ABI 6
SCOPE_SIGNAL: Final = 1 << 1

READ: Final = EXECUTE | READ_FILE | READ_DIR
WRITE: Final = (
    READ
    | WRITE_FILE
    | REMOVE_DIR
    | REMOVE_FILE
    | MAKE_DIR
    | MAKE_REG
    | MAKE_FIFO
    | MAKE_SYM
    | REFER
    | TRUNCATE
)
DEVICE: Final = READ_FILE | WRITE_FILE | TRUNCATE | IOCTL_DEV
_OF_A_FILE: Final = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV


@dataclass(frozen=True, slots=True)
class Access:
    """What stays reachable. Paths that do not exist are skipped, but for those in `required`."""

    required: tuple[str, ...]  # read and write, and an error when one is not there
    write: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    connect_ports: tuple[int, ...] = ()


def abi() -> int:
    """The version of Landlock in this kernel; 0: none, or not enabled, or itself forbidden here."""
    try:
        return syscall(_CREATE_RULESET, None, 0, _QUERY_VERSION)
    except OSError:
        return 0


def handled_rights(version: int) -> int:
    """All file system rights that this version can deny."""
    rights = (1 << 13) - 1
    for since, right in ((2, REFER), (3, TRUNCATE), (5, IOCTL_DEV)):
        if version >= since:
            rights |= right
    return rights


def ruleset_attribute(version: int) -> bytes:
    """`struct landlock_ruleset_attr`, as long as this version knows it: deny everything it can."""
    files = struct.pack("=Q", handled_rights(version))
    network = struct.pack("=Q", BIND_TCP | CONNECT_TCP) if version >= 4 else b""
    scopes = struct.pack("=Q", SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL) if version >= 6 else b""
    return files + network + scopes


def missing(version: int, *, connects: bool, seccomp: bool) -> tuple[str, ...]:
    """What this version leaves open, in words for the operator. Pure."""
    return tuple(_missing(version, connects=connects, seccomp=seccomp))


def _missing(version: int, *, connects: bool, seccomp: bool) -> Iterator[str]:
    if version == 0:
        yield "no Landlock: commands reach every file and process that the worker's user reaches"
        return
    if version < 2:
        yield "Landlock ABI 1 (before Linux 5.19): no hole, but files cannot be moved between directories"
    if version < 3:
        yield "Landlock before Linux 6.2: commands can truncate files outside the workspace"
    if version < 4 and (connects or not seccomp):
        yield "Landlock before Linux 6.7: commands can connect to any TCP port"
    if version < 6:
        yield "Landlock before Linux 6.12: commands can send signals to other processes of the worker's user"
        if not seccomp:
            yield "Landlock before Linux 6.12: commands can connect to abstract Unix sockets"


class Ruleset:
    """The rules of one sandbox: made while paths can still be opened, entered afterwards."""

    def __init__(self, version: int, access: Access) -> None:
        self._handled = handled_rights(version)
        attribute = ruleset_attribute(version)
        self._fd = syscall(_CREATE_RULESET, ctypes.c_char_p(attribute), len(attribute), 0)
        self._add_paths(access)
        if version >= 4:
            for port in access.connect_ports:
                self._add(_NET_PORT, struct.pack("=QQ", CONNECT_TCP, port))

    def _add_paths(self, access: Access) -> None:
        for path in access.required:
            self._add_path(path, WRITE)
        for paths, rights in ((access.write, WRITE), (access.read, READ), (access.devices, DEVICE)):
            for path in paths:
                try:
                    self._add_path(path, rights)
                except (FileNotFoundError, NotADirectoryError, PermissionError):
                    continue  # not there, or out of reach for this user: nothing to allow

    def _add_path(self, path: str, rights: int) -> None:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
                rights &= _OF_A_FILE
            self._add(_PATH_BENEATH, struct.pack("=Qi", rights & self._handled, descriptor))
        finally:
            os.close(descriptor)

    def _add(self, kind: int, rule: bytes) -> None:
        syscall(_ADD_RULE, self._fd, kind, ctypes.c_char_p(rule), 0)

    def enter(self) -> None:
        """Restrict this process and all that it starts, for good. Needs `no_new_privs`."""
        syscall(_RESTRICT_SELF, self._fd, 0)
        os.close(self._fd)

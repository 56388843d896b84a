"""What the worker gives up for good before any command: privileges, a terminal, a life of its own.

See credentials(7), capabilities(7) and prctl(2). What the kernel does not let go is told in words, and
is an error only when it would leave more than was there before.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from plugins.base.sandbox.libc import prctl, syscall

_PR_SET_PDEATHSIG: Final = 1
_PR_CAPBSET_READ: Final = 23
_PR_CAPBSET_DROP: Final = 24
_PR_SET_SECUREBITS: Final = 28
_PR_SET_CHILD_SUBREAPER: Final = 36
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4

# NOROOT, NO_SETUID_FIXUP and NO_CAP_AMBIENT_RAISE with their locks, and the lock of KEEP_CAPS: being user 0
# means nothing any more.
_SECURE_BITS: Final = 0b1110_1111

_CAPSET: Final = {"x86_64": 126, "aarch64": 91}
_CAPABILITY_VERSION_3: Final = 0x2008_0522
_MOST_CAPABILITIES: Final = 64


@dataclass(frozen=True, slots=True)
class Identity:
    """The user and group that commands run as."""

    uid: int
    gid: int


def identity_for(workspace: str) -> Identity:
    """The owner of the workspace when this process is root and the owner is not; otherwise who we are."""
    owner = Path(workspace).stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        return Identity(owner.st_uid, owner.st_gid)
    return Identity(os.geteuid(), os.getegid())


def leave_session() -> None:
    """Have a session without a terminal: none can be made to listen to what we type into it."""
    with suppress(PermissionError):  # we lead a session already
        os.setsid()


def forbid_core_files() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def become(identity: Identity) -> tuple[str, ...]:
    """Take on the identity and drop all capabilities. Returns what could not be dropped, in words."""
    kept: list[str] = []
    _empty_bounding_set()
    if os.geteuid() == 0 and not _change_user(identity):
        kept.append(f"the worker stays root: the kernel did not let it become user {identity.uid}")
    _drop_capabilities()
    return tuple(kept)


def _empty_bounding_set() -> None:
    """Empty what could ever be gained. Without CAP_SETPCAP there is nothing to gain it with."""
    for capability in range(_MOST_CAPABILITIES):
        with suppress(OSError):
            prctl(_PR_CAPBSET_DROP, capability)
    with suppress(OSError):
        prctl(_PR_SET_SECUREBITS, _SECURE_BITS)


def _change_user(identity: Identity) -> bool:
    if identity == Identity(os.getuid(), os.getgid()) and identity.uid == 0:
        with suppress(PermissionError):
            os.setgroups([])
        return True
    try:
        os.setgroups([])
        os.setresgid(identity.gid, identity.gid, identity.gid)
        os.setresuid(identity.uid, identity.uid, identity.uid)
    except PermissionError:
        return False
    return True


def _drop_capabilities() -> None:
    """Empty the effective, permitted, inheritable and ambient sets."""
    with suppress(OSError):  # a kernel before 4.3 has no ambient set
        prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    number = _CAPSET.get(os.uname().machine)
    if number is None:
        raise OSError(f"capset(2) is not known for {os.uname().machine}")
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    syscall(number, ctypes.byref(header), ctypes.byref(nothing))


def hear_of_the_end_of(parent: int) -> None:
    """Get SIGHUP when the server is gone. Raises `ProcessLookupError` when it is gone already.

    Not SIGKILL, which would leave the running commands to nobody. A change of user clears this, so it comes
    after `become`.
    """
    prctl(_PR_SET_PDEATHSIG, signal.SIGHUP)
    if os.getppid() != parent:
        raise ProcessLookupError("the server ended while its worker was starting")


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def forbid_new_privileges() -> None:
    prctl(_PR_SET_NO_NEW_PRIVS, 1)

"""What a thief would plant in a repository: tries each way out once, and writes down how far it got.

Stands alone: it is copied into the workspace and run by git.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TARGETS = json.loads((HERE / "targets.json").read_text())
OUTSIDE = Path(TARGETS["outside"])
SERVER = TARGETS["server"]
LIBC = ctypes.CDLL(None, use_errno=True)
PTRACE_SEIZE = 0x4206


class Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def checked(result: int) -> int:
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def connect(family: int, address: Any) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.connect(address)


def replace() -> None:
    (OUTSIDE / "new").write_text("new")
    (OUTSIDE / "new").rename(OUTSIDE / "replaced")


def limit() -> None:
    """Would let a CPU limit of nothing end the server; here its own limit is set again."""
    limits = resource.prlimit(SERVER, resource.RLIMIT_CORE)
    resource.prlimit(SERVER, resource.RLIMIT_CORE, limits)


def trace() -> None:
    checked(LIBC.ptrace(PTRACE_SEIZE, SERVER, None, None))


def memory() -> None:
    buffer = ctypes.create_string_buffer(TARGETS["length"])
    local = Vector(ctypes.addressof(buffer), TARGETS["length"])
    remote = Vector(TARGETS["address"], TARGETS["length"])
    checked(LIBC.process_vm_readv(SERVER, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0))
    if b"secret" not in buffer.raw:
        raise OSError("read something else")


ATTEMPTS: dict[str, Callable[[], object]] = {
    "read": lambda: (OUTSIDE / "secret").read_text(),
    "list": lambda: os.listdir(OUTSIDE),
    "write": lambda: (OUTSIDE / "planted").write_text("planted"),
    "replace": replace,
    "tcp": lambda: connect(socket.AF_INET, ("127.0.0.1", TARGETS["port"])),
    "unix": lambda: connect(socket.AF_UNIX, TARGETS["unix"]),
    "abstract": lambda: connect(socket.AF_UNIX, "\0" + TARGETS["abstract"]),
    "signal": lambda: os.kill(SERVER, signal.SIGURG),  # which does nothing when it arrives
    "limit": limit,
    "ptrace": trace,
    "memory": memory,
    "environ": lambda: Path(f"/proc/{SERVER}/environ").read_bytes(),
    "pidfd": lambda: signal.pidfd_send_signal(os.pidfd_open(SERVER), signal.SIGURG),
}


def outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return str(error)
    return "done"


(HERE / "results.json").write_text(json.dumps({name: outcome(attempt) for name, attempt in ATTEMPTS.items()}))

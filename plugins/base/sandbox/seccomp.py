"""seccomp: the system calls that commands cannot make (seccomp(2)).

A filter in classic BPF, put together here by pure functions: `program` returns the instructions,
`install` gives them to the kernel. A refused call fails with EPERM and the command goes on.

With no port to connect to, no socket can be made or connected at all. With ports, TCP sockets can, and
Landlock holds them to the ports. Calls in another machine's numbering end the process.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from dataclasses import dataclass
from typing import Final, NamedTuple

from plugins.base.sandbox.calls import JUDGED, REFUSED
from plugins.base.sandbox.libc import prctl, syscall

ALLOW: Final = 0x7FFF_0000
KILL_PROCESS: Final = 0x8000_0000
EPERM: Final = 0x0005_0000 | errno.EPERM
ENOSYS: Final = 0x0005_0000 | errno.ENOSYS

# BPF operations (linux/bpf_common.h)
LOAD: Final = 0x20  # accumulator = 32 bits of seccomp_data at k
AND: Final = 0x54
EQUAL: Final = 0x15
AT_LEAST: Final = 0x35
ANY_BIT: Final = 0x45
RETURN: Final = 0x06

_NUMBER_AT: Final = 0  # offsets in struct seccomp_data
_ARCH_AT: Final = 4
_ARGUMENTS_AT: Final = 16

_X32_BIT: Final = 0x4000_0000
_NAMESPACES: Final = 0x7E02_0000  # every CLONE_NEW* that clone(2) takes
_TIOCSTI: Final = 0x5412
_TIOCLINUX: Final = 0x541C
_MSG_FASTOPEN: Final = 0x2000_0000  # connects without connect(2)
_AF_UNIX: Final = 1
_AF_INET: Final = 2
_AF_INET6: Final = 10
_SOCK_STREAM: Final = 1
_SOCK_SEQPACKET: Final = 5
_SOCKET_TYPE: Final = 0xF  # without SOCK_CLOEXEC and SOCK_NONBLOCK
_IPPROTO_TCP: Final = 6
_ASK_PERSONALITY: Final = 0xFFFF_FFFF
_PRIO_USER: Final = 2
_IOPRIO_WHO_USER: Final = 3


class Instruction(NamedTuple):
    """`struct sock_filter`: the jumps count the instructions to skip."""

    code: int
    jump_true: int
    jump_false: int
    k: int


Block = tuple[Instruction, ...]


@dataclass(frozen=True, slots=True)
class Machine:
    """What the filter must know of an architecture: its audit name, its column in the tables."""

    audit: int
    column: int
    syscall_number: int  # of seccomp(2) itself
    x32: bool = False


MACHINES: Final = {
    "x86_64": Machine(audit=0xC000_003E, column=0, syscall_number=317, x32=True),
    "aarch64": Machine(audit=0xC000_00B7, column=1, syscall_number=277),
}


def program(machine: Machine, *, tcp: bool) -> Block:
    """The whole filter. `tcp`: commands may make TCP connections (Landlock says where to)."""
    return (
        *_check_machine(machine),
        *(
            step
            for name, block in _judged(tcp).items()
            for step in _on_call(JUDGED[name][machine.column], block)
        ),
        *(step for number in _refused(machine) for step in _on_call(number, (_end(EPERM),))),
        _end(ALLOW),
    )


def _refused(machine: Machine) -> tuple[int, ...]:
    return tuple(number for numbers in REFUSED.values() if (number := numbers[machine.column]) is not None)


def _check_machine(machine: Machine) -> Block:
    """End other architectures' calls, refuse x32's, and leave the number in the accumulator."""
    x32 = (Instruction(AT_LEAST, 0, 1, _X32_BIT), _end(ENOSYS)) if machine.x32 else ()
    return (
        Instruction(LOAD, 0, 0, _ARCH_AT),
        Instruction(EQUAL, 1, 0, machine.audit),
        _end(KILL_PROCESS),
        Instruction(LOAD, 0, 0, _NUMBER_AT),
        *x32,
    )


def _on_call(number: int, block: Block) -> Block:
    """Do the block, which must end the filter, for this call; otherwise go on with the number loaded."""
    return (Instruction(EQUAL, 0, len(block), number), *block)


def _judged(tcp: bool) -> dict[str, Block]:
    """For each call that depends on its arguments, a block that ends the filter."""
    another_process = (*_refuse_unless_zero(0), _end(ALLOW))
    return {
        "clone": (_argument(0), *_refuse_if_any(_NAMESPACES), _end(ALLOW)),
        "clone3": (_end(ENOSYS),),  # its flags are in memory, out of sight; the C library falls back to clone
        "ioctl": (_argument(1), *_refuse_if_equal(_TIOCSTI), *_refuse_if_equal(_TIOCLINUX), _end(ALLOW)),
        "personality": (_argument(0), *_refuse_unless(0, _ASK_PERSONALITY), _end(ALLOW)),
        "socket": _tcp_sockets() if tcp else (_end(EPERM),),
        "socketpair": _stream_pairs(),
        "connect": (_end(ALLOW if tcp else EPERM),),
        # Sending is for connected sockets: an address would reach datagram sockets by their path.
        "sendto": (*_refuse_unless_zero(4), _argument(3), *_refuse_if_any(_MSG_FASTOPEN), _end(ALLOW)),
        "sendmsg": (_argument(2), *_refuse_if_any(_MSG_FASTOPEN), _end(ALLOW)),
        "sendmmsg": (_argument(3), *_refuse_if_any(_MSG_FASTOPEN), _end(ALLOW)),
        # Limits and priorities: one's own only. A CPU limit of one second would end the server.
        "prlimit64": another_process,
        "sched_setaffinity": another_process,
        "sched_setscheduler": another_process,
        "sched_setparam": another_process,
        "sched_setattr": another_process,
        "setpriority": _own_priority(_PRIO_USER),
        "ioprio_set": _own_priority(_IOPRIO_WHO_USER),
    }


def _tcp_sockets() -> Block:
    return (
        _argument(0), *_refuse_unless(_AF_INET, _AF_INET6),
        _argument(1), _mask(_SOCKET_TYPE), *_refuse_unless(_SOCK_STREAM),
        _argument(2), *_refuse_unless(0, _IPPROTO_TCP),
        _end(ALLOW),
    )  # fmt: skip


def _stream_pairs() -> Block:
    return (
        _argument(0), *_refuse_unless(_AF_UNIX),
        _argument(1), _mask(_SOCKET_TYPE), *_refuse_unless(_SOCK_STREAM, _SOCK_SEQPACKET),
        _end(ALLOW),
    )  # fmt: skip


def _own_priority(all_of_user: int) -> Block:
    return (_argument(0), *_refuse_if_equal(all_of_user), *_refuse_unless_zero(1), _end(ALLOW))


# ---------------------------------------------------------------- the assembler


def _argument(index: int, *, high: bool = False) -> Instruction:
    """Load the lower (or higher) 32 bits of an argument; both machines are little-endian."""
    return Instruction(LOAD, 0, 0, _ARGUMENTS_AT + 8 * index + (4 if high else 0))


def _end(action: int) -> Instruction:
    return Instruction(RETURN, 0, 0, action)


def _mask(bits: int) -> Instruction:
    return Instruction(AND, 0, 0, bits)


def _refuse_if_equal(value: int) -> Block:
    return (Instruction(EQUAL, 0, 1, value), _end(EPERM))


def _refuse_if_any(bits: int) -> Block:
    return (Instruction(ANY_BIT, 0, 1, bits), _end(EPERM))


def _refuse_unless(*values: int) -> Block:
    """Go on when the accumulator is one of the values."""
    tests = (Instruction(EQUAL, len(values) - at, 0, value) for at, value in enumerate(values))
    return (*tests, _end(EPERM))


def _refuse_unless_zero(index: int) -> Block:
    """Go on when all 64 bits of the argument are 0."""
    return (_argument(index), *_refuse_unless(0), _argument(index, high=True), *_refuse_unless(0))


# ---------------------------------------------------------------- the kernel

_GET_SECCOMP: Final = 21
_SET_SECCOMP: Final = 22
_MODE_FILTER: Final = 2
_ACTION_AVAILABLE: Final = 2


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def machine() -> Machine | None:
    """The tables for this machine; None: there are none, or this is a 32-bit process."""
    return MACHINES.get(platform.machine()) if ctypes.sizeof(ctypes.c_void_p) == 8 else None


def missing() -> tuple[str, ...]:
    """What is left open because seccomp cannot be used here; () when it can."""
    here = machine()
    if here is None:
        why = f"no table of system calls for {platform.machine()}"
    elif not _kernel_has_it(here):
        why = "the kernel has none"
    else:
        return ()
    return (f"no seccomp ({why}): commands can open sockets, reach Unix sockets by path and trace processes",)


def _kernel_has_it(here: Machine) -> bool:
    try:
        prctl(_GET_SECCOMP)
        syscall(here.syscall_number, _ACTION_AVAILABLE, 0, ctypes.byref(ctypes.c_uint32(KILL_PROCESS)))
    except OSError:
        return False
    return True


def install(here: Machine, *, tcp: bool) -> None:
    """Filter this process and all that it starts, for good. Needs `no_new_privs`."""
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program(here, tcp=tcp))
    filter_program = _Program(len(code) // 8, code)  # must outlive the call
    prctl(_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(filter_program))

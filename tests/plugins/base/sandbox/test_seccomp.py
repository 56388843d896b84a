"""The filter, run by an interpreter of classic BPF: every verdict without touching the kernel."""

from __future__ import annotations

import errno
import platform
import re
import socket
import struct
from pathlib import Path

import pytest

from plugins.base.sandbox import seccomp
from plugins.base.sandbox.calls import JUDGED, REFUSED
from plugins.base.sandbox.seccomp import ALLOW, ENOSYS, EPERM, KILL_PROCESS, MACHINES, Machine, program

GETPID = {"x86_64": 39, "aarch64": 172}
CLONE_NEW = (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)


def verdict(filter_: seccomp.Block, number: int, *arguments: int, audit: int) -> int:
    """Do what the kernel does with the filter."""
    words = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    data = struct.pack("=iIQ6Q", number & 0x7FFF_FFFF, audit, 0, *words)
    at = accumulator = 0
    while True:
        code, jump_true, jump_false, k = filter_[at]
        at += 1
        if code == seccomp.LOAD:
            (accumulator,) = struct.unpack_from("=I", data, k)
        elif code == seccomp.AND:
            accumulator &= k
        elif code == seccomp.RETURN:
            return k
        else:
            holds = {
                seccomp.EQUAL: accumulator == k,
                seccomp.AT_LEAST: accumulator >= k,
                seccomp.ANY_BIT: bool(accumulator & k),
            }[code]
            at += jump_true if holds else jump_false


@pytest.fixture(params=sorted(MACHINES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def machine(name: str) -> Machine:
    return MACHINES[name]


def judge(machine: Machine, call: str, *arguments: int, tcp: bool = False) -> int:
    return verdict(program(machine, tcp=tcp), JUDGED[call][machine.column], *arguments, audit=machine.audit)


def test_ordinary_calls_pass(name: str, machine: Machine) -> None:
    for tcp in (False, True):
        assert verdict(program(machine, tcp=tcp), GETPID[name], audit=machine.audit) == ALLOW


@pytest.mark.parametrize("call", sorted(REFUSED))
def test_dangerous_calls_fail(machine: Machine, call: str) -> None:
    number = REFUSED[call][machine.column]
    if number is not None:
        assert verdict(program(machine, tcp=True), number, audit=machine.audit) == EPERM


def test_another_machine_s_calls_end_the_process(machine: Machine) -> None:
    i386 = 0x4000_0003
    assert verdict(program(machine, tcp=False), 11, audit=i386) == KILL_PROCESS


def test_x32_calls_do_not_exist() -> None:
    machine = MACHINES["x86_64"]
    filter_ = program(machine, tcp=False)
    assert verdict(filter_, 0x4000_0000 | 39, audit=machine.audit) == ENOSYS


@pytest.mark.parametrize(
    ("call", "arguments", "expected"),
    [
        ("clone", (0x11,), ALLOW),  # fork
        ("clone", (0x3D0F00,), ALLOW),  # a thread
        *(("clone", (flag | 0x11,), EPERM) for flag in CLONE_NEW),
        ("clone3", (0,), ENOSYS),
        ("ioctl", (0, 0x5401), ALLOW),  # TCGETS
        ("ioctl", (0, 0x5412), EPERM),  # TIOCSTI
        ("ioctl", (0, 0xDEAD_0000_5412), EPERM),  # the kernel reads the lower half only
        ("ioctl", (0, 0x541C), EPERM),  # TIOCLINUX
        ("personality", (0xFFFF_FFFF,), ALLOW),  # asks
        ("personality", (0,), ALLOW),
        ("personality", (0x0040_0000,), EPERM),  # READ_IMPLIES_EXEC
        ("socketpair", (1, 1), ALLOW),
        ("socketpair", (1, 5 | socket.SOCK_CLOEXEC), ALLOW),
        ("socketpair", (1, 2), EPERM),
        ("socketpair", (2, 1), EPERM),
        ("sendto", (3, 1, 1, 0, 0, 0), ALLOW),
        ("sendto", (3, 1, 1, 0, 0x7FFF_0000, 16), EPERM),
        ("sendto", (3, 1, 1, 0, 0x7FFF_0000_0000, 16), EPERM),
        ("sendto", (3, 1, 1, 0x2000_0000, 0, 0), EPERM),  # MSG_FASTOPEN
        ("sendmsg", (3, 1, 0x4000), ALLOW),
        ("sendmsg", (3, 1, 0x2000_0000), EPERM),
        ("sendmmsg", (3, 1, 1, 0x2000_0000), EPERM),
        ("prlimit64", (0, 7), ALLOW),
        ("prlimit64", (4242, 7), EPERM),
        ("sched_setaffinity", (0,), ALLOW),
        ("sched_setaffinity", (4242,), EPERM),
        ("sched_setscheduler", (4242,), EPERM),
        ("sched_setparam", (4242,), EPERM),
        ("sched_setattr", (4242,), EPERM),
        ("setpriority", (0, 0, 10), ALLOW),
        ("setpriority", (0, 4242, 10), EPERM),
        ("setpriority", (2, 0, 10), EPERM),  # everything of this user
        ("ioprio_set", (1, 0), ALLOW),
        ("ioprio_set", (3, 0), EPERM),
    ],
)
def test_arguments_decide(machine: Machine, call: str, arguments: tuple[int, ...], expected: int) -> None:
    assert judge(machine, call, *arguments) == expected


@pytest.mark.parametrize("family", [1, 2, 10, 16, 17, 38, 40])
def test_without_a_port_there_are_no_sockets(machine: Machine, family: int) -> None:
    assert judge(machine, "socket", family, 1, 0) == EPERM
    assert judge(machine, "connect", 3) == EPERM


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((2, 1, 0), ALLOW),
        ((10, 1 | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 6), ALLOW),
        ((1, 1, 0), EPERM),  # Unix
        ((2, 2, 0), EPERM),  # UDP
        ((2, 3, 0), EPERM),  # raw
        ((2, 1, 262), EPERM),  # MPTCP, which Landlock does not see
        ((2, 1, 132), EPERM),  # SCTP
        ((16, 3, 0), EPERM),  # netlink
    ],
)
def test_with_a_port_there_is_tcp_only(machine: Machine, arguments: tuple[int, ...], expected: int) -> None:
    assert judge(machine, "socket", *arguments, tcp=True) == expected
    assert judge(machine, "connect", 3, tcp=True) == ALLOW


def test_every_path_through_the_filter_ends(machine: Machine) -> None:
    for tcp in (False, True):
        filter_ = program(machine, tcp=tcp)
        assert len(filter_) <= 4096
        assert filter_[-1] == (seccomp.RETURN, 0, 0, ALLOW)
        for at, (code, jump_true, jump_false, _) in enumerate(filter_):
            assert max(jump_true, jump_false) <= 255
            if code != seccomp.RETURN:
                assert at + 1 + max(jump_true, jump_false) < len(filter_)


def test_no_number_stands_twice(machine: Machine) -> None:
    numbers = [row[machine.column] for row in (*REFUSED.values(), *JUDGED.values())]
    known = [number for number in numbers if number is not None]
    assert len(known) == len(set(known))


HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


def test_numbers_are_those_of_the_kernel_s_headers(name: str, machine: Machine) -> None:
    if not HEADERS[name].exists():
        pytest.skip("no kernel headers here")
    found = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)$", HEADERS[name].read_text(), re.MULTILINE)
    theirs = {call: int(number) for call, number in found}
    ours = {call: numbers[machine.column] for call, numbers in {**REFUSED, **JUDGED}.items()}
    assert {call: ours[call] for call in ours if call in theirs} == {
        call: theirs[call] for call in ours if call in theirs
    }


def test_errors_are_eperm_and_enosys() -> None:
    assert EPERM & 0xFFFF == errno.EPERM
    assert ENOSYS & 0xFFFF == errno.ENOSYS


def test_a_machine_without_a_table_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    (words,) = seccomp.missing()
    assert "riscv64" in words
    assert "open sockets" in words

"""Starts one program in the worker: where, with which variables and streams. It judges nothing.

A spawn is `posix_spawn(3)` between two changes of directory, and nothing more: the sandbox stands already.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import stat
from dataclasses import dataclass, field
from typing import Final

from plugins.base.sandbox import HOME, TMP, SandboxSpec
from plugins.base.worker.wire import CHANNEL, CHANNEL_VARIABLE, Received

_CHANNEL_NAME: Final = CHANNEL_VARIABLE.encode("ascii")
_CHANNEL_VALUE: Final = b"%d" % CHANNEL
_SIGNALS: Final = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}

_REFUSALS: Final = {
    errno.E2BIG: ("denied", "The command line and the environment are too long for this system."),
    errno.EACCES: ("denied", "{program} cannot be executed here."),
    errno.ENOEXEC: ("denied", "{program} is not a program that this system can run."),
    errno.ENOENT: ("missing", "{program} is not installed where the worker looks for it."),
    errno.ENOTDIR: ("missing", "{program} is not installed where the worker looks for it."),
}


class Refused(Exception):
    """A command cannot be started: what kind of error the server makes of it, and one sentence."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Launcher:
    """Starts programs: knows the PATH and the variables that are the worker's to set."""

    path: str
    variables: dict[bytes, bytes]
    directories: tuple[bytes, ...]
    found: dict[bytes, bytes] = field(default_factory=dict)  # programs by name, as a shell remembers them

    @classmethod
    def for_spec(cls, spec: SandboxSpec) -> Launcher:
        home = f"{spec.private}/{HOME}"
        variables = {
            "PATH": spec.path, "HOME": home, "TMPDIR": f"{spec.private}/{TMP}",
            "XDG_CONFIG_HOME": f"{home}/.config", "XDG_CACHE_HOME": f"{home}/.cache",
            "XDG_DATA_HOME": f"{home}/.local/share", "XDG_STATE_HOME": f"{home}/.local/state",
        }  # fmt: skip
        directories = tuple(_raw(entry) for entry in spec.path.split(":") if entry.startswith("/"))
        return cls(spec.path, {_raw(name): _raw(value) for name, value in variables.items()}, directories)

    def spawn(self, received: Received) -> int:
        """Start the command in the directory of the first descriptor; its process. Raises `Refused`."""
        request, words, fds = received
        if len(fds) != (5 if request["channel"] else 4):
            raise Refused("worker", "The worker could not take over the command's descriptors.")
        streams, channel = fds[1:4], fds[4] if request["channel"] else None
        argv = words[: request["argc"]]
        environment = self._environment(words[request["argc"] :], channel is not None)
        actions = [(os.POSIX_SPAWN_DUP2, stream, number) for number, stream in enumerate(streams)]
        if channel is not None:
            actions.append((os.POSIX_SPAWN_DUP2, channel, CHANNEL))
        try:
            for stream in streams:
                _check_stream(stream)
            program = self._find(argv[0])
            return _spawn_in(fds[0], request["umask"], program, argv, environment, actions)
        except (OSError, ValueError) as error:
            raise _refusal(error, os.fsdecode(argv[0])) from error

    def _environment(self, given: list[bytes], channel: bool) -> dict[bytes, bytes]:
        environment = dict(each.split(b"=", 1) for each in given if not each.startswith(b"XDG_"))
        environment.update(self.variables)
        environment.pop(_CHANNEL_NAME, None)
        if channel:
            environment[_CHANNEL_NAME] = _CHANNEL_VALUE
        return environment

    def _find(self, name: bytes) -> bytes:
        """The program's path, as execvp(3) would find it."""
        if b"/" in name:
            return name
        known = self.found.get(name)
        if known is not None and _is_program(known):
            return known
        for directory in self.directories:
            candidate = directory + b"/" + name
            if _is_program(candidate):
                self.found[name] = candidate
                return candidate
        raise FileNotFoundError(errno.ENOENT, "not found on PATH")


def _is_program(path: bytes) -> bool:
    return os.access(path, os.X_OK) and not stat.S_ISDIR(os.stat(path).st_mode)  # noqa: PTH116


def _spawn_in(
    directory: int,
    umask: int | None,
    program: bytes,
    argv: list[bytes],
    environment: dict[bytes, bytes],
    actions: list[tuple[int, int, int]],
) -> int:
    """Spawn in the directory, then be nowhere again: no directory is held against its removal."""
    try:
        os.fchdir(directory)
    except OSError as error:
        raise Refused("denied", f"The working directory cannot be entered: {error.strerror}.") from error
    previous = os.umask(umask) if umask is not None else None
    try:
        return os.posix_spawn(
            program, argv, environment, file_actions=actions, setpgroup=0, setsigmask=(), setsigdef=_SIGNALS
        )
    finally:
        if previous is not None:
            os.umask(previous)
        os.chdir("/")


def _check_stream(descriptor: int) -> None:
    """Refuse Unix sockets that are not connected for good: a command could send to others by path."""
    if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        return
    with socket.socket(fileno=os.dup(descriptor)) as stream:
        if stream.family != socket.AF_UNIX:
            return
        try:
            stream.getpeername()
        except OSError:
            connected = False
        else:
            connected = stream.type in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET)
    if not connected:
        raise Refused("denied", "A standard stream is a Unix socket that is not a connected stream.")


def _refusal(error: OSError | ValueError, program: str) -> Refused:
    if isinstance(error, ValueError):
        return Refused("denied", "An argument or a variable holds a null byte, or a variable has no name.")
    kind, sentence = _REFUSALS.get(error.errno or 0, ("worker", "{program} cannot be started: {why}."))
    return Refused(kind, sentence.format(program=program, why=error.strerror))


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")

"""The sandbox of the worker: entered once, before any command, and held for good.

`enter` puts this process into it; `available_isolation` says what it would hold, without entering.
What the kernel cannot do is named in words and never silent; the worker then works with what is left.
An error that nobody foresaw ends the worker instead.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from plugins.base.sandbox import landlock, paths, privileges, seccomp

if TYPE_CHECKING:
    from plugins.base.control import Isolation

HOME: Final = "home"  # names in the private directory
TMP: Final = "tmp"


class SandboxError(Exception):
    """The sandbox cannot be built from this specification: one sentence, and a hint."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """What commands are to have. All paths are absolute."""

    workspace: str
    private: str  # gets the commands' own HOME and TMPDIR, read-write
    path: str  # PATH; its directories become readable
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    connect_ports: tuple[int, ...] = ()  # TCP, on any address
    alias: str = ""  # another path of the workspace itself, where commands may be called, too


@dataclass(frozen=True, slots=True)
class Entered:
    """What holds, as the worker tells it."""

    landlock_abi: int
    seccomp: bool
    missing: tuple[str, ...]


def available_isolation() -> Isolation:
    """What this kernel would hold a worker with, and what it lacks."""
    from plugins.base.control import Isolation

    abi, lacking = landlock.abi(), seccomp.missing()
    open_ends = (*landlock.missing(abi, connects=True, seccomp=not lacking), *lacking)
    return Isolation(landlock_abi=abi, seccomp=not lacking, missing=open_ends)


def enter(spec: SandboxSpec, parent: int) -> Entered:
    """Enter the sandbox. Raises `SandboxError` or `OSError`; the process must then end."""
    identity = privileges.identity_for(spec.workspace)
    _make_private(Path(spec.private), identity)
    abi, lacking = landlock.abi(), seccomp.missing()
    # Built before and entered after the change of user, who may not even see all of these paths.
    ruleset = landlock.Ruleset(abi, _access(spec)) if abi else None
    privileges.leave_session()
    privileges.forbid_core_files()
    kept = privileges.become(identity)
    privileges.hear_of_the_end_of(parent)
    privileges.adopt_orphans()
    _check_reach(spec)
    privileges.forbid_new_privileges()
    if ruleset is not None:
        ruleset.enter()
    if (machine := seccomp.machine()) is not None and not lacking:
        seccomp.install(machine, tcp=bool(spec.connect_ports))
    weak = landlock.missing(abi, connects=bool(spec.connect_ports), seccomp=not lacking)
    return Entered(abi, not lacking, (*weak, *lacking, *kept))


def _access(spec: SandboxSpec) -> landlock.Access:
    writable = (spec.workspace, spec.private, *spec.write)
    return landlock.Access(
        # Not the private directory itself: no command can put something else in the place of its home.
        required=(spec.workspace, *(f"{spec.private}/{name}" for name in (HOME, TMP))),
        write=spec.write,
        read=(*paths.readable(spec.path, writable=writable), spec.private, *spec.read),
        devices=paths.DEVICES,
        connect_ports=spec.connect_ports,
    )


def _make_private(private: Path, identity: privileges.Identity) -> None:
    """Make the commands' home and tmp, or set right what an earlier command did to their permissions.

    The directory they are in stays ours, so that nothing else can come in their place.
    """
    _make_directory(private)
    if identity.uid != os.geteuid():
        private.chmod(0o711)
    for name in (HOME, TMP):
        directory = private / name
        _make_directory(directory)
        directory.chmod(0o700)
        os.chown(directory, identity.uid, -1, follow_symlinks=False)


def _make_directory(directory: Path) -> None:
    directory.mkdir(0o700, exist_ok=True)
    if directory.is_symlink():
        raise SandboxError(f"{directory} is a symbolic link.", hint="Remove it: a directory is made anew.")


def _check_reach(spec: SandboxSpec) -> None:
    """Say at once that nothing will work, rather than with each command."""
    for place in (spec.workspace, f"{spec.private}/{HOME}"):
        if not os.access(place, os.R_OK | os.W_OK | os.X_OK):
            raise SandboxError(
                f"User {os.geteuid()}, whose workspace this is, cannot use {place}.",
                hint="Run Claude Container as the owner of the workspace, with a --home of that user.",
            )

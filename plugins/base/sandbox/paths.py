"""Which files outside the workspace a command can read: the toolchain, and what programs need to start.

Never a home directory, `/proc`, `/sys` or configuration that can hold secrets. `/proc` is left out as a
whole: it shows every process's command line, and programs get along without. `/dev/stdin` and
`/dev/fd/N` work for pipes all the same, because a pipe has no path to be judged by.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

SYSTEM: Final = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store", "/gnu/store",
)  # fmt: skip
ETC: Final = tuple(
    f"/etc/{name}"
    for name in (
        "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "ld.so.preload", "alternatives", "passwd", "group",
        "nsswitch.conf", "localtime", "timezone", "locale.alias", "hosts", "host.conf", "protocols",
        "services", "ssl/certs", "ssl/openssl.cnf", "ca-certificates", "pki/tls/certs", "pki/ca-trust",
        "crypto-policies", "mime.types", "magic", "terminfo", "os-release", "debian_version",
        "gitattributes",
    )
)  # fmt: skip
DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")

_SYSTEM_PATHS: Final = tuple(map(Path, SYSTEM))
_BIN: Final = frozenset({"bin", "sbin", "shims"})
_LIBRARIES: Final = ("lib", "lib64", "libexec")
_NEVER_WHOLE: Final = frozenset(map(Path, ("/", "/etc", "/var", "/tmp", "/proc", "/sys", "/dev", "/run")))  # noqa: S108
_IN_HOME: Final = (".local", ".config", ".cache")


def readable(path: str, *, writable: Iterable[str] = (), homes: Iterable[Path] | None = None) -> list[str]:
    """Everything to read and execute for this PATH.

    `writable`: where commands can write; links planted there open nothing. `homes`: directories never to
    open as a whole, by default those of this machine's users.
    """
    closed = _closed(_homes() if homes is None else homes)
    planted = tuple(Path(place).resolve() for place in writable)
    found: list[Path] = []
    for directory in _directories(path):
        if _within(directory, planted):
            continue
        for place in _toolchain(directory, closed):
            if not _within(place, (*_SYSTEM_PATHS, *found)):
                found.append(place)
    return [*SYSTEM, *ETC, *map(str, found)]


def _directories(path: str) -> Iterable[Path]:
    """The directories of PATH by their real names; relative ones would mean another place each time."""
    entries = (Path(entry) for entry in path.split(":") if entry.startswith("/"))
    return dict.fromkeys(entry.resolve() for entry in entries if entry.is_dir())


def _toolchain(directory: Path, closed: frozenset[Path]) -> Iterator[Path]:
    """A directory of programs with what belongs to it, and the same for programs it links to."""
    if directory in closed:
        return
    yield _prefix(directory, closed)
    for target in _links_out(directory):
        # A link out of ~/bin into some project opens that one file, not the project.
        yield _prefix(target.parent, closed) if target.parent.name in _BIN else target


def _prefix(directory: Path, closed: frozenset[Path]) -> Path:
    """`/x/node-20` for `/x/node-20/bin`, when it looks like the place of one toolchain."""
    prefix = directory.parent
    looks_so = directory.name in _BIN and any((prefix / library).is_dir() for library in _LIBRARIES)
    return prefix if looks_so and prefix not in closed else directory


def _links_out(directory: Path) -> Iterator[Path]:
    try:
        with os.scandir(directory) as entries:
            links = sorted(entry.path for entry in entries if entry.is_symlink())
    except OSError:
        return
    for link in links:
        target = Path(os.path.realpath(link))
        if not _within(target, (directory, *_SYSTEM_PATHS)) and target.is_file():
            yield target


def _within(path: Path, places: Iterable[Path]) -> bool:
    return any(path == place or place in path.parents for place in places)


def _closed(homes: Iterable[Path]) -> frozenset[Path]:
    """Homes, what they are in, and where they keep more than programs."""
    closed = set(_NEVER_WHOLE)
    for home in homes:
        closed.update((home, *home.parents), (home / name for name in _IN_HOME))
    return frozenset(closed)


def _homes() -> Iterable[Path]:
    """Home directories of this machine's users, but for those of system services, such as /usr/sbin."""
    found = {Path(user.pw_dir).resolve() for user in pwd.getpwall() if user.pw_dir.startswith("/")}
    return (home for home in found if not _within(home, _SYSTEM_PATHS))

"""The one file that imports the Docker SDK: finds an engine, connects to it, and puts its errors into words.

Everything here blocks: call it off the event loop. What is done with the connection is up to the
modules that get `Engine.api`, the SDK's low-level client.
"""

from __future__ import annotations

import os
import re
import socket
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import docker
import requests
import urllib3
from docker.errors import APIError, DockerException

from plugins.base.text import printable
from supervisor.containers.dialect import Dialect, dialect_of
from supervisor.containers.engine_errors import (
    DOCTOR,
    DiskFull,
    EngineAway,
    EngineError,
    NotRunning,
    NotThere,
    Taken,
)
from supervisor.unix_server import peer

PATIENCE: Final = 60.0  # seconds for one answer; an engine that is busy building is slow, not gone
_OLDEST: Final = (1, 41)
_NEWEST: Final = (1, 51)  # that we know to work; engines speak older versions, too
_SERVER: Final = re.compile(r"(?P<name>\w+)/(?P<version>\S+)")  # as in "Docker/20.10.24+dfsg1 (linux)"
_PODMAN: Final = "libpod"
_STATE_WORDS: Final = "container state improper"  # Podman's; Docker answers 409
_NO_INIT: Final = "container-init binary not found"
_TAKEN_WORDS: Final = ("overlap", "already in use", "already used", "already exists", "already allocated")


@dataclass(frozen=True, slots=True)
class Engine:
    """A connection to an engine that answered once. Usable from any thread."""

    url: str
    version: str  # the engine's own
    api_version: str
    podman: bool
    owner: int  # the user that it runs as
    api: Any  # docker.APIClient

    @property
    def name(self) -> str:
        return f"{'Podman' if self.podman else 'Docker'} {self.version}"

    @property
    def dialect(self) -> Dialect:
        return dialect_of(podman=self.podman, owner=self.owner)

    def translated(self) -> AbstractContextManager[None]:
        """A context in which the SDK's errors become ours."""
        return translated(self.url)

    def ping(self, patience: float = 10.0) -> None:
        """Raises `EngineAway` when it does not answer within so many seconds."""
        with self.translated():
            _knock(self.url, patience)
            with closing(_client(self.url, self.api_version, patience)) as client:
                client.ping()

    def close(self) -> None:
        self.api.close()


def connect(url: str = "", *, patience: float = PATIENCE) -> Engine:
    """Connect to the engine at `url`, else to the first that is found.

    Raises `EngineAway` when none answers, `EngineError` when it is too old.
    """
    chosen = url or find()
    with translated(chosen):
        owner = _knock(chosen, patience)
        # Made without a word to the engine: what goes wrong later, goes wrong where it can be closed.
        with closing(_client(chosen, _text(_OLDEST), patience)) as asking:
            name, version, newest = _introduction(asking, patience)
        spoken = min(_NEWEST, _spoken(chosen, newest))
        return Engine(
            url=chosen,
            version=version,
            api_version=_text(spoken),
            podman=name == _PODMAN,
            owner=owner,
            api=_client(chosen, _text(spoken), patience),
        )


def _client(url: str, version: str, patience: float) -> Any:
    return docker.APIClient(base_url=url, version=version, timeout=patience)


def _knock(url: str, patience: float) -> int:
    """Connect to its socket and let go: tells plainly what is wrong with it, else whose it is."""
    with closing(socket.socket(socket.AF_UNIX)) as sock:
        sock.settimeout(patience)
        sock.connect(url.removeprefix("unix://"))
        _, uid = peer(sock)
        return uid


def _introduction(client: Any, patience: float) -> tuple[str, str, str]:
    """The engine's name and version, and the newest version of the API that it speaks.

    The shortest of all questions: for "version" Podman asks half a dozen other programs, for a second.
    """
    answer = client.get(f"{client.base_url}/_ping", timeout=patience)
    answer.raise_for_status()
    found = _SERVER.match(answer.headers.get("Server", ""))
    name, version = (found["name"], found["version"]) if found is not None else ("", "")
    return name.lower(), printable(version)[:60], answer.headers.get("Api-Version", "")


def _spoken(url: str, text: str) -> tuple[int, ...]:
    """The API's version. Raises `EngineError` when it is older than what we need."""
    version = tuple(int(part) for part in text.split(".") if part.isdecimal())
    if version < _OLDEST:
        raise EngineError(
            f"The container engine at {url} is too old: it speaks API {text or 'of no version'}.",
            hint=f"Install an engine with API {_text(_OLDEST)} or newer.",
        )
    return version


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


# ---------------------------------------------------------------- where an engine is


def find() -> str:
    """The URL of the engine: DOCKER_HOST, else the first socket that is there. Raises `EngineAway`."""
    given = os.environ.get("DOCKER_HOST", "")
    if given:
        return _local(given)
    found = next((path for path in sockets() if _is_socket(path)), None)
    if found is None:
        raise EngineAway(
            f"There is no container engine here: no socket {sockets()[0]}, nor any other's.",
            hint="Install and start Docker (or `podman system service`), or use --runtime process.",
        )
    return f"unix://{found}"


def sockets() -> tuple[Path, ...]:
    """Where engines listen: Docker, rootless Docker, rootless Podman, Podman."""
    own = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}")
    return (
        Path("/var/run/docker.sock"), own / "docker.sock", own / "podman" / "podman.sock",
        Path("/run/podman/podman.sock"),
    )  # fmt: skip


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False


def _local(url: str) -> str:
    if not url.startswith("unix://"):
        raise EngineAway(
            f"DOCKER_HOST is {url}, but the engine must be on this machine: it mounts the workspace.",
            hint="Set DOCKER_HOST to unix:///path/of/the/socket, or unset it.",
        )
    return url


# ---------------------------------------------------------------- errors


_BROKEN: Final = (
    DockerException, requests.RequestException, urllib3.exceptions.HTTPError, OSError,
)  # fmt: skip


@contextmanager
def translated(url: str = "") -> Iterator[None]:
    """Turn what the SDK and the libraries below it raise into `EngineError`s."""
    try:
        yield
    except APIError as error:
        raise _refusal(error) from error
    except _BROKEN as error:
        raise _away(error, url) from error


def _refusal(error: APIError) -> EngineError:
    """The engine answered that it will not or cannot."""
    status = error.response.status_code if error.response is not None else 0
    said = printable(str(error.explanation or error)).strip().rstrip(".")[:500]
    lower = said.lower()
    if "no space left on device" in lower:
        return DiskFull(
            f"The container engine's disk is full: {said}.",
            hint="Make space below its data directory (`docker info` names it).",
        )
    if "no such image" in lower or (status == 404 and "image" in lower):
        return NotThere(f"An image is missing: {said}.", hint="Build it: claude-container build")
    if _NO_INIT in lower:
        return EngineError(
            "Podman lacks catatonit, the first process of an agent's container.",
            hint="Install it (Debian: apt install catatonit).",
        )
    if status == 404:
        return NotThere(f"The container engine does not have it: {said}.")
    if _STATE_WORDS in lower:
        return NotRunning(f"The container does not run: {said}.")
    if status == 409 or any(words in lower for words in _TAKEN_WORDS):
        return Taken(f"It is taken already: {said}.", hint=DOCTOR)
    return EngineError(f"The container engine refused: {said}.", hint=DOCTOR)


def _away(error: BaseException, url: str) -> EngineAway:
    """No answer, or not the whole of it."""
    at = f" at {url.removeprefix('unix://')}" if url else ""
    causes = list(_causes(error))
    for kinds, text, hint in _KINDS:
        if any(isinstance(cause, kinds) for cause in causes):
            return EngineAway(text.format(at=at), hint=hint)
    last = printable(str(causes[-1])).strip().rstrip(".")[:300]
    return EngineAway(f"The container engine{at} does not answer: {last}.", hint=DOCTOR)


_START: Final = "Start it (for Docker: systemctl start docker)."
_GROUP: Final = (
    "Become a member of its group (for Docker: sudo usermod -aG docker $USER, then log in again), or start a "
    "Podman of your own: systemctl --user start podman.socket"
)
_Kinds = type[BaseException] | tuple[type[BaseException], ...]
_KINDS: Final[tuple[tuple[_Kinds, str, str], ...]] = (
    (PermissionError, "The container engine{at} does not let you use it: permission denied.", _GROUP),
    (FileNotFoundError, "There is no container engine{at}.", _START),
    (ConnectionRefusedError, "The container engine{at} does not run.", _START),
    (
        (TimeoutError, requests.Timeout, urllib3.exceptions.TimeoutError),
        "The container engine{at} does not answer in time.", "It may be busy, or hang: try `docker info`.",
    ),
    (
        (ConnectionError, urllib3.exceptions.ProtocolError),
        "The container engine{at} went away in the middle of an answer.", "It is tried again by itself.",
    ),
)  # fmt: skip


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and everything that led to it; libraries hide the cause in arguments, too."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        each = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        inner = [each.__cause__, each.__context__, getattr(each, "reason", None), *each.args]
        waiting += [cause for cause in inner if isinstance(cause, BaseException)]

"""Podman services of the tests' own, the machine's and an ordinary user's, each with a store of its own.

Nothing of the machine's own Podman is used or changed: storage, networks, locks and sockets are below one
directory. The ordinary user is known to the service alone, by files mounted over /etc in its mount namespace.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from plugins.base.errors import ClaudeContainerError
from supervisor.containers.engine import Engine, connect

_PATIENCE: Final = 60.0  # seconds until it answers
_SIZE: Final = "2g"  # at most, of its disk, in memory
_FIRST_SUBORDINATE: Final = 231072
_CNI: Final = Path("/usr/lib/cni/bridge")
_SETTINGS: Final = """\
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "{here}/tmp"
runtime = "runc"
[network]
network_backend = "{backend}"
network_config_dir = "{here}/networks"
"""
_STORAGE: Final = """\
[storage]
driver = "overlay"
graphroot = "{here}/data"
rootless_storage_path = "{here}/data"
runroot = "{here}/run"
"""
# Mounted in a namespace of its own: $1 is the directory, $2 the user, what follows is run as them.
_AS_USER: Final = """
for file in passwd group subuid subgid; do mount --bind "$1/etc/$file" /etc/$file || exit; done
user=$2; shift 2
exec setpriv --reuid=$user --regid=$user --clear-groups --inh-caps=-all "$@"
"""


@dataclass(frozen=True)
class Podman:
    """All that it has is below a directory; `uid` is the user that it runs as."""

    directory: Path
    uid: int

    @property
    def _marks(self) -> dict[str, str]:
        """Of the environment of all its processes; tells them from everybody else's."""
        here = str(self.directory)
        return {
            "CONTAINERS_CONF": f"{here}/containers.conf",
            "CONTAINERS_STORAGE_CONF": f"{here}/storage.conf",
        }

    def _command(self, *arguments: str) -> list[str]:
        here = str(self.directory)
        environment = {
            "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "HOME": here, "XDG_RUNTIME_DIR": here,
            "TMPDIR": f"{here}/tmp", **self._marks,
        }  # fmt: skip
        settings = [f"{name}={value}" for name, value in environment.items()]
        called = ["env", "-i", *settings, "podman", *arguments]
        if self.uid == 0:
            return called
        return ["unshare", "--mount", "sh", "-c", _AS_USER, "sh", here, str(self.uid), *called]

    def prepare(self) -> None:
        """Raises `Unusable`."""
        here = self.directory
        mounting = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE},mode=755", "tmpfs", str(here)]
        if subprocess.run(mounting, check=False).returncode:
            raise Unusable("its disk cannot be mounted")
        for name, text in (("containers.conf", _SETTINGS), ("storage.conf", _STORAGE)):
            (here / name).write_text(text.format(here=here, backend=_backend(self.uid)))
        for name in ("networks", "tmp", "etc"):
            (here / name).mkdir()
        user = f"podman-test:x:{self.uid}:{self.uid}::{here}:/bin/sh\n"
        (here / "etc" / "passwd").write_text(Path("/etc/passwd").read_text() + user)
        (here / "etc" / "group").write_text(Path("/etc/group").read_text() + f"podman-test:x:{self.uid}:\n")
        for name in ("subuid", "subgid"):
            (here / "etc" / name).write_text(f"{self.uid}:{_FIRST_SUBORDINATE}:65536\n")
        subprocess.run(["chown", "-R", f"{self.uid}:{self.uid}", str(here)], check=True)

    def load(self, archive: Path) -> None:
        """Take over the images that Docker saved there. Raises `Unusable`."""
        with archive.open("rb") as saved:
            loaded = subprocess.run(
                self._command("load", "-q"), stdin=saved, capture_output=True, text=True, check=False,
                cwd=self.directory,
            )  # fmt: skip
        if loaded.returncode:
            raise Unusable(loaded.stderr)

    def serve(self, url: str) -> subprocess.Popen[bytes]:
        """Start a service; containers do not depend on it."""
        with (self.directory / "log").open("ab") as log:
            return subprocess.Popen(
                self._command("system", "service", "-t", "0", url), cwd=self.directory, stdout=log,
                stdin=subprocess.DEVNULL, stderr=log, start_new_session=True,
            )  # fmt: skip

    @contextmanager
    def serving(self) -> Iterator[Engine]:
        service = Service(self, "s.sock")
        service.start()
        try:
            (self.directory / "s.sock").chmod(0o660)  # as an administrator gives it to a group
            engine = connect(service.url)
            yield engine
            engine.close()
        finally:
            service.stop()

    def try_a_container(self, image: str) -> None:
        """Raises `Unusable` where it cannot run one."""
        limits = ["--ulimit=nofile=1024", "--ulimit=nproc=1024"]
        called = self._command("run", "--rm", *limits, image, "true")
        done = subprocess.run(called, capture_output=True, text=True, check=False, cwd=self.directory)
        if done.returncode:
            raise Unusable(done.stderr)

    def close(self) -> None:
        """End what is left of it, and remove everything."""
        for pid in self._processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for mount in _mounts_below(self.directory):
            subprocess.run(["umount", "-l", mount], check=False)
        self.directory.rmdir()

    def _processes(self) -> Iterator[int]:
        mark = f"CONTAINERS_CONF={self._marks['CONTAINERS_CONF']}".encode()
        for each in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (each / "environ").read_bytes().split(b"\0"):
                    yield int(each.name)


class Service:
    """What answers the API, on a socket of its own; to be killed, stopped and started again at will."""

    def __init__(self, podman: Podman, name: str) -> None:
        self._podman = podman
        self._socket = podman.directory / name
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{self._socket}"

    def start(self, *, live_restore: bool = True) -> None:
        """Returns as soon as it answers. Raises `Unusable`. `live_restore` is how it always is."""
        self._socket.unlink(missing_ok=True)
        self._process = self._podman.serve(self.url)
        deadline = time.monotonic() + _PATIENCE
        while self._process.poll() is None and time.monotonic() < deadline:
            with suppress(ClaudeContainerError):
                return connect(self.url).close()
            time.sleep(0.05)
        raise Unusable((self._podman.directory / "log").read_text())

    def send(self, signum: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(signum)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self.send(signal.SIGCONT)
        self._end(signal.SIGTERM)

    def _end(self, signum: signal.Signals) -> None:
        self.send(signum)
        if self._process is not None:
            self._process.wait()


class Unusable(Exception):
    """It does not work on this machine."""


def _backend(uid: int) -> str:
    """What makes its networks. Raises `Unusable`."""
    if _CNI.exists():
        return "cni"
    if uid == 0:
        raise Unusable("beside Docker, whose firewall forbids the rest, it needs containernetworking-plugins")
    return "netavark"


@contextmanager
def podman_or_skip(uid: int, image: str, archive: Path) -> Iterator[Podman]:
    """One that runs as this user and has the archive's images, of which `image` is one.

    Where it does not work, the test is skipped.
    """
    needed = ["podman", "runc", "catatonit", *(["newuidmap", "slirp4netns"] if uid else [])]
    missing = [name for name in needed if not shutil.which(name)]
    if os.geteuid() != 0 or missing:
        pytest.skip(f"Podman as user {uid} needs root, and {', '.join(missing) or 'nothing else'}")
    podman = Podman(Path(tempfile.mkdtemp(prefix="cc-podman-")), uid)
    try:
        try:
            podman.prepare()
            podman.load(archive)
            podman.try_a_container(image)
        except Unusable as why:
            pytest.skip(f"Podman as user {uid} does not work here: {str(why).strip()[-500:]}")
        yield podman
    finally:
        podman.close()


def _mounts_below(directory: Path) -> list[str]:
    """It, and all below it."""
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return sorted((each for each in mounts if Path(each).is_relative_to(directory)), reverse=True)

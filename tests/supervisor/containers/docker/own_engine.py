"""A Docker engine of the tests' own, to be killed, stopped, filled up and started again at will.

It has a network namespace of its own: an engine takes all of a machine's bridges for its own, and one with
`--bridge none` would remove the bridge of the engine that runs here anyway.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugins.base.errors import ClaudeContainerError
from supervisor.containers.engine import Engine, connect

_PATIENCE = 60.0  # seconds until it answers
_SIZE = "1500m"  # of its disk, in memory


class OwnEngine:
    """Not running at first."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.disk = directory / "data"
        self.url = f"unix://{directory}/engine.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self._containerd: subprocess.Popen[bytes] | None = None

    def start(self, *, live_restore: bool = False) -> None:
        """As on a machine's start: containerd, which holds the containers, is a service of its own."""
        here = self._directory
        if self._containerd is None:
            self._containerd = self._run(
                "containerd", "--address", f"{here}/containerd.sock", "--root", f"{self.disk}/containerd",
                "--state", f"{here}/containerd", "--config", "/dev/null",
            )  # fmt: skip
        self._process = self._run(
            "nsenter", f"--net={here}/net", "dockerd", "--containerd", f"{here}/containerd.sock",
            "--data-root", f"{self.disk}/docker", "--exec-root", f"{here}/exec", "--pidfile", f"{here}/pid",
            "-H", self.url, "--bridge", "none", "--iptables=false", "--ip6tables=false",
            *(["--live-restore"] if live_restore else []),
        )  # fmt: skip
        self.connect().close()

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        with (self._directory / "log").open("ab") as log:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def connect(self) -> Engine:
        """Connect, as soon as it answers."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return connect(self.url)
            except ClaudeContainerError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def send(self, signum: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(signum)

    def kill(self) -> None:
        """As a crash does: its containers go on."""
        self.send(signal.SIGKILL)
        self._wait()
        (self._directory / "pid").unlink(missing_ok=True)

    def stop(self) -> None:
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        self._wait()

    @property
    def running(self) -> bool:
        return self._process is not None

    def clear(self) -> None:
        """Remove its containers and networks."""
        self.send(signal.SIGCONT)
        engine = self.connect()
        for container in engine.api.containers(all=True):
            engine.api.remove_container(container["Id"], force=True)
        for network in engine.api.networks(filters={"type": "custom"}):
            engine.api.remove_network(network["Id"])
        engine.close()

    def close(self) -> None:
        if self.running:
            self.clear()
        self.stop()
        if self._containerd is not None:
            self._containerd.terminate()
            self._containerd.wait()

    def _wait(self) -> None:
        if self._process is not None:
            self._process.wait()
            self._process = None

    def load(self, image: str) -> None:
        """Take an image over from the engine that runs here anyway."""
        with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saving:
            subprocess.run(
                ["docker", "load"], env={**os.environ, "DOCKER_HOST": self.url}, stdin=saving.stdout,
                check=True, capture_output=True,
            )  # fmt: skip


@contextlib.contextmanager
def own_engine() -> Iterator[OwnEngine]:
    """Skips the test where no engine can be started."""
    if os.geteuid() != 0 or not shutil.which("dockerd"):
        pytest.skip("an engine of one's own needs root and dockerd (apt install docker.io)")
    directory = Path(tempfile.mkdtemp(prefix="cc-engine-"))
    engine = OwnEngine(directory)
    engine.disk.mkdir()
    try:
        _make_network_namespace(directory / "net")
        _mount_disk(engine.disk)
        yield engine
    finally:
        engine.close()
        for mount in _mounts_below(directory):
            subprocess.run(["umount", "-l", mount], check=False)
        shutil.rmtree(directory, ignore_errors=True)


def _mount_disk(at: Path) -> None:
    command = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(at)]
    if subprocess.run(command, check=False).returncode:
        pytest.skip("a disk for an engine of one's own cannot be mounted")


def _make_network_namespace(handle: Path) -> None:
    """One that lasts for as long as the handle is mounted."""
    handle.touch()
    command = ["unshare", f"--net={handle}", "ip", "link", "set", "lo", "up"]
    if subprocess.run(command, check=False).returncode:
        pytest.skip("a network namespace for an engine of one's own cannot be made")


def _mounts_below(directory: Path) -> list[str]:
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return sorted((mount for mount in mounts if mount.startswith(f"{directory}/")), reverse=True)

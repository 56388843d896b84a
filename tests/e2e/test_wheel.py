"""The wheel holds all that it needs: it works where there is no checkout and no compiler."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_MAIN = "import sys, cli.main; assert cli.main.__file__.startswith(sys.argv.pop(1)); cli.main.main()"


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content, as pip would install it."""
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(_ROOT)]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    (wheel,) = out.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(out / "site")
    return out / "site"


def _claude_container(site: Path, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the wheel's own command, with no compiler to be found."""
    environment = {
        "PYTHONPATH": str(site),
        "PATH": str(home.parent),
        "HOME": str(home.parent),
        "LC_ALL": "C.UTF-8",
    }
    command = [sys.executable, "-c", _MAIN, str(site), "--home", str(home), *words]
    return subprocess.run(
        command, env=environment, cwd=home.parent, capture_output=True, text=True, check=False
    )


@pytest.fixture
def home() -> Iterator[Path]:
    """Short: sockets are in it."""
    with tempfile.TemporaryDirectory(prefix="cc-") as place:
        yield Path(place) / "h"


def test_init_from_the_wheel_makes_a_home_that_works(unpacked: Path, home: Path) -> None:
    done = _claude_container(unpacked, home, "init")
    assert done.returncode == 0, done.stderr
    assert (home / "config" / "git.yaml").read_bytes() == (_ROOT / "config" / "git.yaml").read_bytes()
    assert os.access(home / "cli" / "plugin-client", os.X_OK)
    listed = [str(home / "cli" / "plugin-client"), "--list"]
    subprocess.run(listed, env={"PLUGIN_SOCKET_DIR": str(home / "sockets")}, check=True)
    checked = _claude_container(unpacked, home, "policy", "check")
    assert checked.returncode == 0, checked.stderr

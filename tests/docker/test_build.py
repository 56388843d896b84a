"""`claude-container build` with a real engine: only what changed is built, what fails is explained."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.containers.names import image
from supervisor.images.of_home import images_of
from tests.docker.place import Place, new_place, until
from tests.e2e.planted import processes
from tests.engine import BASE, CHOICES, VERSION

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("docker-e2e")]
TOOL = "seq"  # every base has it: its image costs nothing but layers that are there
PROJECT = """\
[project]
name = "extra"
version = "1"
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
BACKEND = """\
import subprocess, zipfile
{first}
def build_wheel(directory, settings=None, metadata=None):
    name = "extra-1-py3-none-any.whl"
    with zipfile.ZipFile(directory + "/" + name, "w") as wheel:
        about = "extra-1.dist-info/"
        wheel.writestr(about + "METADATA", "Metadata-Version: 2.1\\nName: extra\\nVersion: 1\\n")
        wheel.writestr(about + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(about + "RECORD", "")
    return name
"""


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with new_place("git") as place:
        choose(place)
        yield place


def choose(place: Place, base: str = BASE, *, package: Path | None = None) -> None:
    python = f'python = "{package}"\n' if package else ""
    table = f'[{TOOL}]\nbase = "{base}"\n{python}'
    (place.home.config / "images.toml").write_text(f"{CHOICES}\n{table}")


def package(directory: Path, first: str = "") -> Path:
    """A package of the operator's own, whose build begins with a line of Python."""
    (directory / "pyproject.toml").write_text(PROJECT)
    (directory / "backend.py").write_text(BACKEND.format(first=first))
    return directory


def identity(place: Place) -> str:
    """Of the image that the tool has now; "" for none."""
    found = [each["Id"] for each in place.engine.api.images(name=place.tag(TOOL))]
    return str(found[0]) if found else ""


def built(place: Place) -> str:
    """Build what is to be built: something, as is told. Returns the progress."""
    before = identity(place)
    done = place.call("build", TOOL)
    told = done.stderr.decode()
    assert (done.returncode, done.stdout) == (0, b""), told
    assert f"Built {place.tag(TOOL)} (" in told
    assert identity(place) not in ("", before)
    return told


def test_what_is_missing_is_built_once_and_each_step_is_told(place: Place) -> None:
    steps = [line for line in built(place).splitlines() if line.startswith(f"{TOOL}: step ")]
    count = int(steps[0].split("/")[1].split(":")[0])
    assert [line.split()[2] for line in steps] == [f"{number}/{count}:" for number in range(1, count + 1)]
    before = identity(place)
    again = place.call("build", TOOL)
    assert (again.returncode, again.stdout, again.stderr) == (0, b"Everything is built: seq.\n", b"")
    (described,) = json.loads(place.does("build", "--json", TOOL))
    assert (described["tag"], described["built"]) == (place.tag(TOOL), False)
    assert identity(place) == before


def test_another_base_and_another_image_under_its_name_are_changes(place: Place) -> None:
    name = f"claude-container-base:{place.home.root.parent.name}"
    try:
        subprocess.run(["docker", "tag", BASE, name], check=True)
        choose(place, name)
        assert "FROM ${BASE}" in built(place)
        images = images_of(place.home, place.engine)
        assert images.to_build([TOOL]) == []
        subprocess.run(["docker", "tag", image("git", VERSION), name], check=True)
        assert [each.tool for each in images.to_build([TOOL])] == [TOOL]
    finally:
        subprocess.run(["docker", "rmi", name], check=True, capture_output=True)


def test_a_step_that_fails_is_named_and_what_was_there_stays(place: Place, tmp_path: Path) -> None:
    before = identity(place)
    choose(place, package=package(tmp_path, "raise SystemExit('no such luck')"))
    told = place.fails("build", "--verbose", TOOL)
    error, hint = told.splitlines()[-2:]
    assert error.startswith(f"error: The image of {TOOL} cannot be built: step ")
    assert error.endswith(" failed: exit status 1.")
    assert "(RUN test ! -d /build/extra/package" in error
    assert hint == f"hint: See all of it with: claude-container build --verbose {TOOL}"
    assert "no such luck" in told
    assert identity(place) == before


def test_ctrl_c_ends_the_build_on_both_sides(place: Place, tmp_path: Path) -> None:
    seconds = str(100_000 + os.getpid())
    choose(place, package=package(tmp_path, f"subprocess.run(['sleep', '{seconds}'])"))
    before = identity(place)
    with place.begin("build", TOOL) as process:
        until(lambda: processes("sleep", seconds) != [], "the build waits")
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 130
    assert "Traceback" not in told
    assert identity(place) == before
    until(lambda: processes("sleep", seconds) == [], "the engine ended it, too")

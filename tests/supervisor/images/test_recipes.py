"""What makes an image be built anew: every choice and every file that goes in, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from supervisor.home import Home
from supervisor.images.recipes import read_choices, recipe
from supervisor.images.steps import step

CHOICES = """\
[default]
base = "debian:1"
builder = "debian:1"

[make]
packages = ["make"]
python = "{package}"
"""


class Place:
    """A home, and the operator's own package, that make's image is made of."""

    def __init__(self, root: Path) -> None:
        self.home = Home(root / "home")
        self.home.config.mkdir(parents=True)
        self.package = root / "package"
        self.package.mkdir()
        (self.package / "pyproject.toml").write_text("[project]\n")
        (self.package / "plugin.py").write_text("rules = 1\n")
        self.choose("", "")

    def choose(self, old: str, new: str) -> None:
        text = CHOICES.format(package=self.package)
        (self.home.config / "images.toml").write_text(text.replace(old, new) if old else text)

    def inputs(self) -> str:
        return recipe("make", read_choices(self.home), "1").inputs()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def _touch(place: Place) -> None:
    os.utime(place.package / "plugin.py", (1, 1))


def _compile(place: Place) -> None:
    cache = place.package / "__pycache__"
    cache.mkdir()
    (cache / "plugin.cpython-311.pyc").write_bytes(b"x")


CHANGES: dict[str, Callable[[Place], object]] = {
    "base": lambda place: place.choose('base = "debian:1"', 'base = "debian:2"'),
    "builder": lambda place: place.choose('builder = "debian:1"', 'builder = "debian:2"'),
    "packages": lambda place: place.choose('["make"]', '["make", "gcc"]'),
    "base of the tool": lambda place: place.choose("[make]", '[make]\nbase = "node:1"'),
    "content of a file": lambda place: (place.package / "plugin.py").write_text("rules = 2\n"),
    "name of a file": lambda place: (place.package / "plugin.py").rename(place.package / "other.py"),
    "mode of a file": lambda place: (place.package / "plugin.py").chmod(0o755),
    "a new file": lambda place: (place.package / "more.py").touch(),
}
NO_CHANGES: dict[str, Callable[[Place], object]] = {
    "nothing": lambda _: None,
    "another tool": lambda place: place.choose("[make]", '[npm]\nbase = "node:1"\n\n[make]'),
    "a comment": lambda place: place.choose("[make]", "# ours\n[make]"),
    "the time of a file": _touch,
    "what Python compiled": _compile,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_goes_in_is_an_input(place: Place, change: Callable[[Place], object]) -> None:
    before = place.inputs()
    change(place)
    assert place.inputs() != before


@pytest.mark.parametrize("change", NO_CHANGES.values(), ids=NO_CHANGES)
def test_what_does_not_go_in_is_none(place: Place, change: Callable[[Place], object]) -> None:
    before = place.inputs()
    change(place)
    assert place.inputs() == before


@pytest.mark.parametrize(
    ("line", "number", "said"),
    [
        ("Step 3/24 : RUN make", "3/24", "step 3/24 (RUN make)"),
        ("[2/3] STEP 1/5: RUN make", "1/5", "step 1/5 (RUN make)"),
        (f"Step 1/2 : RUN {'x' * 70}", "1/2", f"step 1/2 (RUN {'x' * 55}…)"),
    ],
)
def test_a_step_is_known_by_its_line(line: str, number: str, said: str) -> None:
    found = step(line)
    assert found is not None
    assert (found.number, str(found)) == (number, said)


@pytest.mark.parametrize("line", ["", " ---> 0123", "make: step 1", "E: Unable to locate package x"])
def test_any_other_line_begins_no_step(line: str) -> None:
    assert step(line) is None

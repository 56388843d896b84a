"""The recipes of images: pins are those of the project, shared stages are the same, nobody is root."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import subprocess
import tarfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = [ROOT / name / "Containerfile" for name in ("plugins/base", "plugins/git", "claude")]


def requirements() -> dict[str, str]:
    lines = (ROOT / "plugins" / "base" / "requirements.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_what_images_install_is_what_the_project_pins() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = dict(re.sub(r"\[.*?\]", "", each).split("==") for each in project["dependencies"])
    ours = requirements()
    assert {name: ours[name] for name in ours.keys() & pinned} == {
        name: pinned[name] for name in ("aiohttp", "pydantic", "pyyaml", "watchfiles")
    }


def stages(file: Path) -> str:
    text = file.read_text()
    return text[text.index("AS client") : text.index("compileall")]


def test_git_and_any_other_tool_get_the_same_program() -> None:
    assert stages(FILES[0]) == stages(FILES[1])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_the_last_user_is_not_root(file: Path) -> None:
    users = re.findall(r"^USER (.*)$", file.read_text(), re.MULTILINE)
    assert users[-1:] == ["65534:65534"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_base_images_are_arguments_with_a_version(file: Path) -> None:
    text = file.read_text()
    bases = set(re.findall(r"^FROM (\S+)", text, re.MULTILINE))
    assert bases <= {"${BASE}", "${BUILDER}"}
    defaults = re.findall(r"^ARG (?:BASE|BUILDER)=(\S+)$", text, re.MULTILINE)
    assert defaults
    assert all(re.search(r":\d+\.\d+", default) for default in defaults)


# ---------------------------------------------------------------- the program of the agent


AGENT = ROOT / "claude"
PINNED = re.search(r"^ARG CLAUDE_CODE=(\S+)$", (AGENT / "Containerfile").read_text(), re.MULTILINE)
# Stands in for curl: the package and what the registry says about it, as files beside it.
CURL = """#!/bin/sh
while [ $# -gt 1 ]; do [ "$1" != -o ] || to=$2; shift; done
case $1 in *.tgz) cp "${0%/*}/package.tgz" "$to" ;; *) cat "${0%/*}/about" ;; esac
"""


def test_the_pinned_program_has_a_checksum_on_every_platform() -> None:
    lines = [line.split() for line in (AGENT / "checksums").read_text().splitlines() if line[0] != "#"]
    assert PINNED is not None
    assert {(version, platform) for version, platform, _ in lines} == {
        (PINNED[1], "linux-x64"), (PINNED[1], "linux-arm64"),
    }  # fmt: skip


@dataclass
class Registry:
    """A registry with one package; `fetch` asks it for a version."""

    directory: Path

    def publish(self, program: bytes) -> str:
        """Returns the sha512 of the package."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            entry = tarfile.TarInfo("package/claude")
            entry.size = len(program)
            archive.addfile(entry, io.BytesIO(program))
        (self.directory / "package.tgz").write_bytes(packed.getvalue())
        return base64.b64encode(hashlib.sha512(packed.getvalue()).digest()).decode()

    def say(self, sha512: str) -> None:
        (self.directory / "about").write_text(f'{{"dist": {{"integrity": "sha512-{sha512}"}}}}')

    def fetch(self, version: str) -> subprocess.CompletedProcess[str]:
        (self.directory / "curl").write_text(CURL)
        (self.directory / "curl").chmod(0o755)
        path = f"{self.directory}:{os.environ['PATH']}"
        return subprocess.run(
            ["sh", str(AGENT / "fetch.sh"), version, str(self.directory / "claude")], text=True,
            env={"PATH": path}, capture_output=True, check=False, timeout=30,
        )  # fmt: skip


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


def test_a_program_that_is_what_was_published_is_taken(registry: Registry) -> None:
    registry.say(registry.publish(b"#!/bin/sh\necho hello\n"))
    done = registry.fetch("9.9.9")
    assert (done.returncode, done.stderr) == (0, "")
    assert subprocess.check_output([registry.directory / "claude"]) == b"hello\n"


def test_another_program_is_not_taken(registry: Registry) -> None:
    registry.say(registry.publish(b"good"))
    registry.publish(b"bad")
    done = registry.fetch("9.9.9")
    assert done.returncode == 1
    assert "is not what was published" in done.stderr
    assert not (registry.directory / "claude").exists()


def test_of_the_pinned_version_the_registry_is_not_believed(registry: Registry) -> None:
    assert PINNED is not None
    registry.say(registry.publish(b"replaced"))
    assert registry.fetch(PINNED[1]).returncode == 1

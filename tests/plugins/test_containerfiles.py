"""The recipes of images: pins are those of the project, shared stages are the same, nobody is root."""

from __future__ import annotations

import re
import tomllib
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

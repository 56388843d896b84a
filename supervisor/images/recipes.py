"""What each image is made of: which recipe, on which base, from which files. Pure, but for reading files.

`config/images.toml` of the home says what the operator chose. An image carries the hash of everything that
went in; one whose hash is not the wanted one is built anew, all others are left alone.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from plugins.base.errors import ClaudeContainerError
from plugins.base.version import package_version
from supervisor.assets import build_sources, default_images
from supervisor.containers.names import AGENT, image, instance_of
from supervisor.home import Home

LABEL_INPUTS: Final = "claude-container.inputs"
LABEL_TOOL: Final = "claude-container.image"
CHOICES: Final = "images.toml"

_PLUGIN_FILES: Final = ("pyproject.toml", "plugins", "cli/agent")
_AGENT_FILES: Final = ("claude",)
_LEFT_OUT: Final = re.compile(r"(^|/)(__pycache__|\.git|\.venv)(/|$)|\.py[co]$|^cli/agent/plugin-client")


class Choice(BaseModel):
    """One table of images.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    base: str = ""
    builder: str = ""
    packages: list[str] | None = None
    python: str = ""  # directory of a Python package with a plugin of the operator's own
    claude_code: str = ""  # the agent's alone: a version, or "none"; "": the one that is known to work


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one image is built."""

    tool: str
    tag: str
    containerfile: str  # its name among the files
    arguments: Mapping[str, str]
    files: Mapping[str, Path]

    @property
    def base(self) -> str:
        """The name of the image that it is built on; "": the Containerfile's own."""
        return self.arguments.get("BASE", "")

    def inputs(self) -> str:
        """Names everything that goes in."""
        digest = hashlib.sha256(repr((self.containerfile, sorted(self.arguments.items()))).encode())
        for name in sorted(self.files):
            data = self.files[name].read_bytes()
            digest.update(f"{name}\0{_mode(self.files[name]):o}\0{len(data)}\0".encode())
            digest.update(data)
        return digest.hexdigest()[:32]

    def labels(self) -> dict[str, str]:
        return {LABEL_INPUTS: self.inputs(), LABEL_TOOL: self.tool}

    def context(self) -> IO[bytes]:
        """The files as an engine takes them: a tar archive, the same for the same files."""
        packed = BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for name in sorted(self.files):
                data = self.files[name].read_bytes()
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(data), _mode(self.files[name])
                archive.addfile(entry, BytesIO(data))
        packed.seek(0)
        return packed


def recipe(tool: str, choices: Mapping[str, Choice], version: str) -> Recipe:
    """How the image of a tool's plugin, or of the agent, is built."""
    chosen, default = choices.get(tool, Choice()), choices.get("default", Choice())
    bases = {"BASE": chosen.base or default.base, "BUILDER": chosen.builder or default.builder}
    arguments = {name: value for name, value in bases.items() if value}
    if tool == AGENT:
        given = arguments | _of_the_agent(chosen)
        return Recipe(tool, image(tool, version), "claude/Containerfile", given, _files(_AGENT_FILES))
    files = {**_files(_PLUGIN_FILES), **_package(chosen)}
    own = f"plugins/{tool}/Containerfile"
    if own not in files:
        own = "plugins/base/Containerfile"
        packages = chosen.packages if chosen.packages is not None or chosen.base else [tool]
        arguments["PACKAGES"] = _words(packages)
    return Recipe(tool, image(tool, version), own, arguments, files)


def _of_the_agent(chosen: Choice) -> dict[str, str]:
    """Only what was chosen: the recipe has defaults of its own. No packages is a choice, too."""
    packages = {} if chosen.packages is None else {"PACKAGES": _words(chosen.packages)}
    return packages | ({"CLAUDE_CODE": chosen.claude_code} if chosen.claude_code else {})


def _package(chosen: Choice) -> dict[str, Path]:
    """The files of the operator's own package. Raises `ClaudeContainerError` when it is none."""
    if not chosen.python:
        return {}
    directory = Path(chosen.python).expanduser()
    if not (directory / "pyproject.toml").is_file():
        raise ClaudeContainerError(
            f"{directory} is not a Python package: it has no pyproject.toml.",
            hint=f"Correct `python` in {CHOICES}; see docs/writing-a-plugin.md.",
        )
    return dict(_below("extra/package", directory))


def _words(packages: list[str] | None) -> str:
    return " ".join(packages or ())


def _files(roots: tuple[str, ...]) -> dict[str, Path]:
    return {name: path for root in roots for name, path in _below(root, build_sources(root))}


def _below(name: str, path: Path) -> Iterator[tuple[str, Path]]:
    if path.is_file():
        yield name, path
        return
    for found in path.rglob("*"):
        inner = f"{name}/{found.relative_to(path)}"
        if found.is_file() and not _LEFT_OUT.search(inner):
            yield inner, found


def _mode(path: Path) -> int:
    return 0o755 if path.stat().st_mode & 0o100 else 0o644


# ---------------------------------------------------------------- what the operator chose


def image_version(home: Home) -> str:
    """What the tags of the home's images end with: a home that chose for itself has images of its own, so
    that two homes never build over each other's."""
    chose = (home.config / CHOICES).exists()
    return f"{package_version()}-{instance_of(home)}" if chose else package_version()


def read_choices(home: Home) -> dict[str, Choice]:
    """The operator's choices on top of the shipped ones. Raises `ClaudeContainerError` with the place."""
    own = home.config / CHOICES
    shipped, chosen = _parse(default_images()), _parse(own) if own.exists() else {}
    first, then = (choices.get("default", Choice()) for choices in (shipped, chosen))
    default = Choice(base=then.base or first.base, builder=then.builder or first.builder)
    return {**shipped, **chosen, "default": default}


def _parse(path: Path) -> dict[str, Choice]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
        choices = {name: Choice.model_validate(table) for name, table in tables.items()}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ClaudeContainerError(f"{path} cannot be read: {error}.", hint="Correct it.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ClaudeContainerError(
            f"{path}: {where or 'a table'}: {first['msg'].lower()}.",
            hint="A table has `base`, `builder`, `packages` and `python`.",
        ) from None
    for name, choice in choices.items():
        _check(path, name, choice)
    return choices


_PACKAGE: Final = re.compile(r"[a-z0-9][a-z0-9+.-]*(=[A-Za-z0-9.+~:-]+)?")
_IMAGE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]*")
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")


def _check(path: Path, name: str, choice: Choice) -> None:
    """These words reach a shell in the build: only what a package or an image can be called."""
    wrong = [word for word in choice.packages or () if not _PACKAGE.fullmatch(word)]
    wrong += [word for word in (choice.base, choice.builder) if word and not _IMAGE.fullmatch(word)]
    wrong += [choice.claude_code] if not _VERSION.fullmatch(choice.claude_code or "none") else []
    if wrong:
        raise ClaudeContainerError(
            f"{path}: {name}: {wrong[0]!r} is no name of a package, an image or a version."
        )

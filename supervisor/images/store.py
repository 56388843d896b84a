"""Builds the images that are missing or made of something else by now, and looks into those that are there.

Talks to the engine through `ImageEngine` alone. Blocking: call it off the event loop.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import IO, Final, Protocol

from plugins.base.errors import ClaudeContainerError
from supervisor.containers.facts import CLIENT
from supervisor.containers.names import AGENT, image
from supervisor.home import Home
from supervisor.images.recipes import CHOICES, LABEL_INPUTS, Recipe, read_choices, recipe
from supervisor.images.steps import Step, step

_FIND_TOOL: Final = ("/bin/sh", "-c", 'command -v -- "$0"')
_STATUS: Final = re.compile(r"returned a non-zero code: (\d+)$")  # after the whole of the command
_MOST_LINES: Final = 400  # of a build's output kept to explain a failure


@dataclass(frozen=True, slots=True)
class Image:
    """An image as the engine has it."""

    id: str
    labels: Mapping[str, str]
    size_bytes: int
    layers: tuple[str, ...]  # digests, lowest first


class ImageEngine(Protocol):
    """What is needed of the engine. Methods raise `ClaudeContainerError` when it cannot be used."""

    def image(self, tag: str) -> Image | None:
        """What the engine has under this name; None when there is no such image."""

    def build_image(
        self, context: IO[bytes], *, containerfile: str, tag: str, arguments: Mapping[str, str],
        labels: Mapping[str, str],
    ) -> Iterator[str]:  # fmt: skip
        """Build, yielding the lines of its output. Raises `BuildFailed`."""

    def remove_image(self, identity: str) -> None:
        """Remove an image, unless something uses it or it has another name."""

    def read_file(self, tag: str, path: str) -> bytes:
        """A file of an image."""

    def try_command(self, tag: str, command: Sequence[str]) -> int:
        """The exit status of a command in a sealed container of the image."""


class BuildFailed(ClaudeContainerError):
    """A step of a build failed."""


@dataclass(frozen=True, slots=True)
class Images:
    """The images of one home; `version` is what their tags end with, see `image_version`."""

    home: Home
    engine: ImageEngine
    version: str

    def recipes(self, tools: Iterable[str]) -> list[Recipe]:
        choices = read_choices(self.home)
        return [recipe(tool, choices, self.version) for tool in tools]

    def to_build(self, tools: Iterable[str]) -> list[Recipe]:
        """Those that are not there, or were made of something else."""
        return [each for each in self.recipes(tools) if not self.is_current(each)]

    def is_current(self, wanted: Recipe) -> bool:
        found = self.engine.image(wanted.tag)
        if found is None or found.labels.get(LABEL_INPUTS) != wanted.inputs():
            return False
        return self._is_on_its_base(found, wanted)

    def _is_on_its_base(self, found: Image, wanted: Recipe) -> bool:
        """Whether the base is still what it was: the same name can be another image by now. One that is not
        here (any more) tells nothing."""
        base = self.engine.image(wanted.base) if wanted.base else None
        return base is None or found.layers[: len(base.layers)] == base.layers

    def build(self, wanted: Recipe, say: Callable[[str], None]) -> None:
        """Build one image; `say` gets each line of the output. Raises `BuildFailed`."""
        last: deque[str] = deque(maxlen=_MOST_LINES)
        at: Step | None = None
        before = self.engine.image(wanted.tag)
        with closing(wanted.context()) as context:
            lines = self.engine.build_image(
                context, containerfile=wanted.containerfile, tag=wanted.tag,
                arguments=wanted.arguments, labels=wanted.labels(),
            )  # fmt: skip
            try:
                for line in lines:
                    last.append(line)
                    at = step(line) or at
                    say(line)
            except BuildFailed as error:
                raise _explained(wanted, last, at, error, self.home) from error
        self._check_tool(wanted)
        now = self.engine.image(wanted.tag)
        if before is not None and now is not None and before.id != now.id:
            self.engine.remove_image(before.id)

    def _check_tool(self, built: Recipe) -> None:
        """An image without its tool does not stay: the next build says the same again."""
        if built.tool == AGENT or self.has_tool(built.tool):
            return
        self.engine.remove_image(built.tag)
        raise ClaudeContainerError(
            f"The image of {built.tool} has no {built.tool}: nothing of that name is on its PATH.",
            hint=_choose(built.tool, self.home),
        )

    def has_tool(self, tool: str) -> bool:
        """Whether the image of the tool's plugin has the tool."""
        return self.engine.try_command(image(tool, self.version), (*_FIND_TOOL, tool)) == 0

    def client(self) -> bytes | None:
        """`plugin-client`, out of the git plugin's image; None when that is not built."""
        tag = image("git", self.version)
        return self.engine.read_file(tag, CLIENT) if self.engine.image(tag) is not None else None


def _explained(
    wanted: Recipe, lines: Iterable[str], at: Step | None, error: BuildFailed, home: Home
) -> BuildFailed:
    """Say what failed in the words of the tool that failed, rather than "returned a non-zero code"."""
    telling = [line for line in lines if line.startswith(("E: ", "ERROR", "npm ERR!", "npm error"))]
    status = _STATUS.search(error.message)
    words = (telling or [f"exit status {status[1]}" if status else error.message])[0].strip().rstrip(".")
    hint = f"See all of it with: claude-container build --verbose {wanted.tool}"
    if "Unable to locate package" in words:
        hint = _choose(wanted.tool, home)
    where = f"{at} failed: " if at is not None else ""
    return BuildFailed(f"The image of {wanted.tool} cannot be built: {where}{words}.", hint=hint)


def _choose(tool: str, home: Home) -> str:
    return f"Name a base or packages that bring it, under [{tool}] in {home.config / CHOICES}."

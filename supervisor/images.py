"""Builds the images that are missing or made of something else by now, and looks into those that are there.

Talks to the engine through `ImageEngine` alone. Blocking: call it off the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import IO, Final, Protocol

from plugins.base.errors import ClaudeContainerError
from plugins.base.main import package_version
from supervisor.containers import AGENT, CLIENT, image
from supervisor.home import Home
from supervisor.recipes import CHOICES, LABEL_INPUTS, Recipe, read_choices, recipe

_FIND_TOOL: Final = ("/bin/sh", "-c", 'command -v -- "$0"')
_MOST_LINES: Final = 400  # of a build's output kept to explain a failure


class ImageEngine(Protocol):
    """What is needed of the engine. Methods raise `ClaudeContainerError` when it cannot be used."""

    def image_labels(self, tag: str) -> Mapping[str, str] | None:
        """The image's labels; None when there is no such image."""

    def build_image(
        self, context: IO[bytes], *, containerfile: str, tag: str, arguments: Mapping[str, str],
        labels: Mapping[str, str],
    ) -> Iterator[str]:  # fmt: skip
        """Build, yielding the lines of its output. Raises `BuildFailed`."""

    def read_file(self, tag: str, path: str) -> bytes:
        """A file of an image."""

    def try_command(self, tag: str, command: Sequence[str]) -> int:
        """The exit status of a command in a sealed container of the image."""


class BuildFailed(ClaudeContainerError):
    """A step of a build failed."""


@dataclass(frozen=True, slots=True)
class Images:
    """The images of one home."""

    home: Home
    engine: ImageEngine
    version: str = package_version()

    def recipes(self, tools: Iterable[str]) -> list[Recipe]:
        choices = read_choices(self.home)
        return [recipe(tool, choices, self.version) for tool in tools]

    def to_build(self, tools: Iterable[str]) -> list[Recipe]:
        """Those that are not there, or were made of something else."""
        return [each for each in self.recipes(tools) if not self.is_current(each)]

    def is_current(self, wanted: Recipe) -> bool:
        labels = self.engine.image_labels(wanted.tag)
        return labels is not None and labels.get(LABEL_INPUTS) == wanted.inputs()

    def build(self, wanted: Recipe, say: Callable[[str], None]) -> None:
        """Build one image; `say` gets each line of the output. Raises `BuildFailed`."""
        last: list[str] = []
        with closing(wanted.context()) as context:
            lines = self.engine.build_image(
                context, containerfile=wanted.containerfile, tag=wanted.tag,
                arguments=wanted.arguments, labels=wanted.labels(),
            )  # fmt: skip
            try:
                for line in lines:
                    last = [*last[1 - _MOST_LINES :], line]
                    say(line)
            except BuildFailed as error:
                raise _explained(wanted, last, error, self.home) from error
        self._check_tool(wanted)

    def _check_tool(self, built: Recipe) -> None:
        if built.tool != AGENT and not self.has_tool(built.tool):
            raise ClaudeContainerError(
                f"The image {built.tag} has no {built.tool}.",
                hint=f"Name a base or packages that bring it, under [{built.tool}] in "
                f"{self.home.config / CHOICES}.",
            )

    def has_tool(self, tool: str) -> bool:
        """Whether the image of the tool's plugin has the tool."""
        return self.engine.try_command(image(tool, self.version), (*_FIND_TOOL, tool)) == 0

    def client(self) -> bytes | None:
        """`plugin-client`, out of the git plugin's image; None when that is not built."""
        tag = image("git", self.version)
        return self.engine.read_file(tag, CLIENT) if self.engine.image_labels(tag) is not None else None


def _explained(wanted: Recipe, lines: list[str], error: BuildFailed, home: Home) -> BuildFailed:
    """Say what failed in the words of the tool that failed, rather than "returned a non-zero code"."""
    telling = [line for line in lines if line.startswith(("E: ", "ERROR", "npm ERR!", "npm error"))]
    words = (telling or [error.message])[0].strip().rstrip(".")
    hint = f"See all of it with: claude-container build --verbose {wanted.tool}"
    if "Unable to locate package" in words:
        hint = f"Name a base or packages with {wanted.tool} under [{wanted.tool}] in {home.config / CHOICES}."
    return BuildFailed(f"The image {wanted.tag} cannot be built: {words}.", hint=hint)

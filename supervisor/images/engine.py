"""What building images needs of a Docker-compatible engine, by its low-level client (an `APIClient`).

The client itself is made in one place, where the SDK is imported; this module only calls it.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import IO, Any, Final

from plugins.base.errors import ClaudeContainerError
from plugins.base.text import printable
from supervisor.containers.dialect import small_limits
from supervisor.containers.engine_errors import NotThere, Taken
from supervisor.images.store import BuildFailed, Image

_LARGEST: Final = 64 * 1024 * 1024  # bytes of a file that is taken out of an image
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")
_PATIENCE: Final = 60  # seconds that a command in an image may take

# Everything off: what runs here only looks around in an image.
_SEALED: Final = {
    "network_mode": "none", "read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges"],
    "pids_limit": 64, "mem_limit": "512m",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class DockerImages:
    """See `supervisor.images.store.ImageEngine`. `translated` turns the SDK's errors into ours."""

    api: Any
    translated: Callable[[], AbstractContextManager[None]]

    def image(self, tag: str) -> Image | None:
        try:
            with self.translated():
                facts = self.api.inspect_image(tag)
        except NotThere:
            return None
        return Image(
            id=str(facts["Id"]),
            labels=(facts.get("Config") or {}).get("Labels") or {},
            size_bytes=int(facts["Size"]),
            layers=tuple((facts.get("RootFS") or {}).get("Layers") or ()),
        )

    def remove_image(self, identity: str) -> None:
        with suppress(NotThere, Taken), self.translated():
            self.api.remove_image(identity)

    def build_image(
        self, context: IO[bytes], *, containerfile: str, tag: str, arguments: Mapping[str, str],
        labels: Mapping[str, str],
    ) -> Iterator[str]:  # fmt: skip
        with self.translated():
            output = self.api.build(
                fileobj=context, custom_context=True, dockerfile=containerfile, tag=tag,
                buildargs=dict(arguments), labels=dict(labels), rm=True, forcerm=True, decode=True,
            )  # fmt: skip
            yield from _lines(output)

    def read_file(self, tag: str, path: str) -> bytes:
        with self.translated():
            container = self._create(tag, ("/none",))
            try:
                chunks, _ = self.api.get_archive(container, path)
                packed = b"".join(chunks)
            finally:
                self.api.remove_container(container, force=True)
        return _only_file(packed, path)

    def try_command(self, tag: str, command: Sequence[str]) -> int:
        with self.translated():
            container = self._create(tag, command)
            try:
                self.api.start(container)
                return int(self.api.wait(container, timeout=_PATIENCE)["StatusCode"])
            finally:
                self.api.remove_container(container, force=True)

    def _create(self, tag: str, command: Sequence[str]) -> str:
        sealed = self.api.create_host_config(**_SEALED, ulimits=small_limits())
        created = self.api.create_container(
            tag, list(command), entrypoint=[], user="65534:65534", host_config=sealed
        )
        return str(created["Id"])


def _lines(output: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Whole lines of what a build prints: the engine sends it in pieces, as they were written."""
    text = ""
    for message in output:
        if "error" in message:
            yield from _printable(text)
            raise BuildFailed(printable(str(message["error"]).strip()))
        text += str(message.get("stream") or message.get("status") or "")
        whole, end, rest = text.rpartition("\n")
        if end:
            yield from _printable(whole)
            text = rest
    yield from _printable(text)


def _printable(text: str) -> Iterator[str]:
    plain = _COLOURS.sub("", text)
    return (printable(line) for line in plain.splitlines() if line.strip())


def _only_file(packed: bytes, path: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        entry = archive.next()
        file = archive.extractfile(entry) if entry is not None and entry.isfile() else None
        if file is None or entry is None or entry.size > _LARGEST:
            raise ClaudeContainerError(f"The image has no file {path}.", hint="claude-container build")
        return file.read()

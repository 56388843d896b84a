"""Pushes on their way to the remote: noted on disk before their first byte goes, until the outcome is known.

A note that is left says what to ask the remote: this gateway lost the answer, or was killed before it came.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from plugins.base.errors import Denied
from plugins.base.events.records import About, Recorder, new_id, safe_args
from plugins.base.model import Decision, Layer, RefUpdate, Verdict
from plugins.git.gateway.push import look
from plugins.git.gateway.upstream import Upstream
from plugins.git.operation import GitOperation

log = logging.getLogger(__name__)

_ASK_AGAIN: Final = 30.0  # seconds, while a remote cannot be asked
_NAMED: Final = 20  # refs that a record's command line names


@dataclass(frozen=True, slots=True)
class Note:
    """A push that was forwarded."""

    command: str  # id of the command that it came from, as that said
    url: str
    updates: tuple[RefUpdate, ...]

    def text(self) -> str:
        updates = [(each.ref, each.old, each.new) for each in self.updates]
        return json.dumps({"command": self.command, "url": self.url, "updates": updates})


class Forwards:
    """The notes of one gateway."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._under_way: set[Path] = set()
        self.left_one = asyncio.Event()

    def begin(self, note: Note) -> Path:
        """Write the note, to the disk itself. Raises `Denied`: then the push must not go."""
        path = self._directory / f"{new_id()}.json"
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(path, note.text())
        except OSError as error:
            raise Denied(
                f"The push cannot be noted on the gateway's disk: {error.strerror}.",
                hint="The operator must make room there; then try again.",
            ) from None
        self._under_way.add(path)
        return path

    def end(self, path: Path, *, known: bool) -> None:
        """The push came to its end; what is not known of it is asked later."""
        self._under_way.discard(path)
        if known:
            path.unlink(missing_ok=True)
        else:
            self.left_one.set()

    def left(self) -> list[tuple[Path, Note]]:
        """What nobody is waiting for any more, and whose outcome is not known."""
        if not self._directory.is_dir():
            return []
        paths = sorted(path for path in self._directory.glob("*.json") if path not in self._under_way)
        return [(path, note) for path in paths if (note := _read(path)) is not None]


@dataclass(frozen=True, slots=True)
class Settler:
    """Asks remotes for outcomes that are not known, and records what they say."""

    forwards: Forwards
    recorder: Recorder
    named: Callable[[str], Upstream]  # a remote by its URL; raises `Denied`
    plugin: str

    async def run(self) -> None:
        """Until cancelled; begins with what an earlier gateway left."""
        for _, note in self.forwards.left():
            self.unknown(note, "The gateway was stopped while this push was under way: outcome unknown.")
        while True:
            self.forwards.left_one.clear()
            for path, note in self.forwards.left():
                await self._settle(path, note)
            pause = _ASK_AGAIN if self.forwards.left() else None
            try:
                async with asyncio.timeout(pause):
                    await self.forwards.left_one.wait()
            except TimeoutError:
                continue

    def unknown(self, note: Note, reason: str) -> None:
        """Record that nobody knows what became of a push."""
        args = safe_args(("push", note.url, *(update.ref for update in note.updates[:_NAMED])))
        operation = GitOperation(
            self.plugin, Layer.WIRE, args, "", remote=note.url, updates=note.updates, hook="receive-pack"
        )
        about = About(note.command, args, "", "", "")
        self.recorder.decision(about, Layer.WIRE, Verdict.ERROR, operation, Decision(), reason=reason)

    async def _settle(self, path: Path, note: Note) -> None:
        try:
            arrived = await look(self.named(note.url), note.updates)
        except Denied as error:
            log.warning("The outcome of a push to %s cannot be asked for: %s", note.url, error.message)
            return
        if arrived is not None:
            self.recorder.information("wire", settled(note.url, note.updates, arrived=arrived))
            self.forwards.end(path, known=True)


def settled(url: str, updates: Sequence[RefUpdate], *, arrived: bool) -> str:
    """What is recorded when the remote was asked."""
    names = ", ".join(update.ref for update in updates[:_NAMED])
    what = "it has what was pushed" if arrived else "it does not have what was pushed"
    return f"{url} was asked about the push of {names} whose outcome was unknown: {what}."


def _write(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    with new.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _read(path: Path) -> Note | None:
    try:
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        updates = tuple(RefUpdate(*update) for update in told["updates"])
        return Note(told["command"], told["url"], updates)
    except (OSError, ValueError, KeyError, TypeError):
        log.exception("A note of a push cannot be read: %s", path.name)
        return None

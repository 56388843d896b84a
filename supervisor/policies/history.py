"""The history of one tool's policies: what was in force, since when, and by whom.

Each text lies in a file named by its hash; `index.jsonl` has a line for each time that one came into
force. Nothing is ever changed or removed. A text that does not fit its name is not used.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from plugins.base.errors import ClaudeContainerError
from plugins.base.policy import policy_hash
from supervisor.files import append_line, make_private, replace_file


@dataclass(frozen=True, slots=True)
class Entry:
    """A policy came into force."""

    hash: str
    time: float  # seconds since the epoch
    who: str


class History:
    """The history in `directory` (made when first needed, 0700)."""

    def __init__(self, directory: Path, plugin: str) -> None:
        self._directory = directory
        self._index = directory / "index.jsonl"
        self._plugin = plugin

    def add(self, text: str, who: str) -> None:
        """Record a policy as in force from now on; the one already in force is not recorded again."""
        name = policy_hash(text)
        newest = next(iter(self.entries()), None)
        if newest is not None and newest.hash == name and self._text(name) is not None:
            return
        make_private(self._directory)
        replace_file(self._file(name), text.encode(), mode=0o600)
        append_line(self._index, json.dumps({"hash": name, "time": time.time(), "who": who}), mode=0o600)

    def entries(self) -> list[Entry]:
        """Newest first. A line cut off by a crash is passed over: its policy never came into force."""
        try:
            lines = self._index.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ClaudeContainerError(
                f"Cannot read the history of {self._plugin}: {error.strerror} ({self._index})."
            ) from error
        return list(_entries(reversed(lines)))

    def newest_text(self) -> str | None:
        """The text of the newest entry; None when there is none or when its file is damaged."""
        newest = next(iter(self.entries()), None)
        return self._text(newest.hash) if newest else None

    def find(self, hash_prefix: str) -> str:
        """The text whose hash begins so. Raises `ClaudeContainerError` unless there is exactly one."""
        hint = f"See: claude-container policy history {self._plugin}"
        hashes = {entry.hash for entry in self.entries() if entry.hash.startswith(hash_prefix)}
        if not (hash_prefix and hashes):
            raise ClaudeContainerError(f"No policy {hash_prefix!r} of {self._plugin} is known.", hint=hint)
        if len(hashes) > 1:
            raise ClaudeContainerError(
                f"{hash_prefix!r} names {len(hashes)} policies of {self._plugin}; give more of its digits.",
                hint=hint,
            )
        text = self._text(hashes.pop())
        if text is None:
            raise ClaudeContainerError(f"The text of policy {hash_prefix!r} is lost or damaged.", hint=hint)
        return text

    def _file(self, name: str) -> Path:
        return self._directory / f"{name}.yaml"

    def _text(self, name: str) -> str | None:
        try:
            text = self._file(name).read_bytes().decode("utf-8")
        except (OSError, UnicodeDecodeError):
            return None
        return text if policy_hash(text) == name else None


def _entries(lines: Iterator[str]) -> Iterator[Entry]:
    for line in lines:
        try:
            found = json.loads(line)
            entry = Entry(str(found["hash"]), float(found["time"]), str(found["who"]))
        except (ValueError, TypeError, KeyError):
            continue
        if len(entry.hash) == 64 and entry.hash.isalnum():
            yield entry

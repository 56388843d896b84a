"""The policy files on disk: read, save, and the history of what was in force.

Reading never waits and never fails: whatever lies there becomes a `PolicyFile` with its problems.
Saving never overwrites what somebody else saved meanwhile, and never writes a file with problems.
History is kept apart from the operator's files, in `state/policies`, by content.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from plugins.base.errors import ClaudeContainerError
from plugins.base.policy import (
    MAX_BYTES,
    Policy,
    PolicyError,
    Problem,
    decode_policy,
    parse_policy,
    policy_hash,
)
from plugins.base.policy.schema import is_tool_name
from plugins.base.policy.standing import standing_policy
from plugins.base.registry import plugin_class
from supervisor.files import file_lock, replace_file
from supervisor.gateways import serves
from supervisor.home import Home
from supervisor.policies.history import Entry, History
from supervisor.policies.replay import operation_of
from supervisor.status import Request


class PolicyConflict(ClaudeContainerError):
    """The file was changed by somebody else since it was read; `current` is what it says now."""

    def __init__(self, plugin: str, current: str, current_hash: str) -> None:
        super().__init__(
            f"{plugin}.yaml was changed by somebody else meanwhile; nothing was saved.",
            hint="Load it again, and make your change there.",
        )
        self.plugin = plugin
        self.current = current
        self.current_hash = current_hash


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A policy file as it lies there: with a policy, or with problems."""

    path: Path
    text: str  # "" when it cannot be read
    hash: str  # names the content, valid or not; "": there is no content
    problems: tuple[Problem, ...] = ()
    policy: Policy | None = None


@dataclass(frozen=True, slots=True)
class PolicyEdit:
    """A change of a policy file that is not saved yet; `base` names the content it starts from."""

    path: Path
    old: str
    new: str
    base: str


class PolicyStore:
    """The policies of one home. Synchronous; each call is short."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def names(self) -> list[str]:
        """The tools that have a policy file, sorted; what has no commands comes last."""
        try:
            found = [path.stem for path in self._home.config.glob("*.yaml")]
        except OSError:
            return []
        return sorted(filter(is_tool_name, found), key=lambda name: (not serves(name), name))

    def read(self, plugin: str) -> PolicyFile:
        """Read and check one file."""
        path = self._path(plugin)
        try:
            data = _read_bytes(path)
        except OSError as error:
            return PolicyFile(path, "", "", (_problem(path, _unreadable(error)),))
        content_hash = hashlib.sha256(data).hexdigest()
        try:
            text = decode_policy(data, file=path.name)
        except PolicyError as error:
            shown = data.decode("utf-8", "replace") if len(data) <= MAX_BYTES else ""
            return PolicyFile(path, shown, content_hash, error.problems)
        return self._checked(path, text, content_hash)

    def _checked(self, path: Path, text: str, content_hash: str) -> PolicyFile:
        try:
            return PolicyFile(path, text, content_hash, policy=self.parse(path.stem, text))
        except PolicyError as error:
            return PolicyFile(path, text, content_hash, error.problems)
        except ClaudeContainerError as error:
            return PolicyFile(path, text, content_hash, (_problem(path, error.message),))

    def parse(self, plugin: str, text: str) -> Policy:
        """Parse a text as the policy of this tool. Raises `PolicyError`."""
        model = plugin_class(plugin).rules_model
        return parse_policy(text, file=f"{plugin}.yaml", rules_model=model, plugin=plugin)

    def save(self, plugin: str, text: str, base_hash: str) -> str:
        """Write a policy that was edited from the content named by `base_hash` ("": a new file).

        Returns the new hash. Raises `PolicyError` for a text with problems, `PolicyConflict` when
        the file says something else by now, `ClaudeContainerError` when it cannot be written.
        """
        self.parse(plugin, text)
        path = self._path(plugin)
        with file_lock(self._home.run / "policies.lock", "Somebody else is saving a policy"):
            current = self.read(plugin)
            if current.hash != base_hash:
                raise PolicyConflict(plugin, current.text, current.hash)
            if not current.hash and path.exists():
                raise ClaudeContainerError(
                    f"Cannot save {path}: {current.problems[0].message}.",
                    hint="Move it away, and save again.",
                )
            replace_file(path, text.encode())
        return policy_hash(text)

    def always(self, request: Request) -> PolicyEdit:
        """How the file would change so that what the request asks for is always allowed; saves nothing.

        Raises `EditError` when no change of a rule does that, `PolicyError` for a file with problems.
        """
        file = self.read(request.plugin)
        if file.policy is None:
            raise PolicyError(file.problems)
        text = standing_policy(plugin_class(request.plugin), file.policy, operation_of(request))
        return PolicyEdit(file.path, file.text, text, file.hash)

    def accept(self, plugin: str, text: str, who: str) -> None:
        """Record that this policy is in force from now on: it becomes the last good one."""
        self._history(plugin).add(text, who)

    def last_good(self, plugin: str) -> str | None:
        """The text of the policy that was in force last; None: there never was one, or it is damaged."""
        return self._history(plugin).newest_text()

    def in_force(self, plugin: str) -> Policy | None:
        """The policy that a plugin is to go by: the file's, else the last good one."""
        with suppress(ClaudeContainerError):
            if (policy := self.read(plugin).policy) is not None:
                return policy
            if (text := self.last_good(plugin)) is not None:
                return self.parse(plugin, text)
        return None

    def history(self, plugin: str) -> list[Entry]:
        """What was in force, newest first."""
        return self._history(plugin).entries()

    def text_of(self, plugin: str, hash_prefix: str) -> str:
        """The text of an earlier policy. Raises `ClaudeContainerError` for an unknown or ambiguous prefix."""
        return self._history(plugin).find(hash_prefix)

    def rollback(self, plugin: str, hash_prefix: str) -> str:
        """Put an earlier policy back into the file; return its hash. Raises as `save` and `text_of`."""
        text = self.text_of(plugin, hash_prefix)
        return self.save(plugin, text, self.read(plugin).hash)

    def _path(self, plugin: str) -> Path:
        _check_name(plugin)
        return self._home.policy_file(plugin)

    def _history(self, plugin: str) -> History:
        _check_name(plugin)
        return History(self._home.state / "policies" / plugin, plugin)


def _check_name(plugin: str) -> None:
    if not is_tool_name(plugin):
        raise ClaudeContainerError(
            f"{plugin!r} cannot be the name of a tool.",
            hint="Use letters, digits, and . _ + - after the first.",
        )


def _read_bytes(path: Path) -> bytes:
    """Read at most one byte more than a policy may have; never waits, whatever kind of file it is."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EISDIR if path.is_dir() else errno.EINVAL, "")
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "")
        return file.read(MAX_BYTES + 1)


def _unreadable(error: OSError) -> str:
    known = {
        errno.ENOENT: "the file is missing",
        errno.EISDIR: "this is a directory, not a file",
        errno.EINVAL: "this is not a regular file",
        errno.EACCES: "the file cannot be read (permission denied)",
        errno.ELOOP: "this is a symbolic link that leads to itself",
    }
    return known.get(error.errno or 0, f"the file cannot be read ({error.strerror})")


def _problem(path: Path, message: str) -> Problem:
    return Problem(1, 1, message, path.name)

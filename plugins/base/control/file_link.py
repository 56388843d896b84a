"""What stands in for the supervisor where there is none: the policy from its file, the audit log in a file.

Nobody can be asked here, so whatever a rule blocks stays blocked. A policy file that is gone or wrong
changes nothing: the last good policy stays in force, and without one nothing runs.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from plugins.base.control import SetPolicy
from plugins.base.control.link import ControlLink, LinkOwner
from plugins.base.events.spool import SEGMENT_BYTES, Spool
from plugins.base.policy import MAX_BYTES, PolicyError, decode_policy, policy_hash
from plugins.base.policy.watch import changes

log = logging.getLogger(__name__)

_LARGEST_LOG: Final = 64 * 1024 * 1024  # bytes; then the file gets a name with its time, and stays
_LOOK_BACK: Final = 2 * SEGMENT_BYTES
_TRY_AGAIN: Final = 2.0  # seconds until what could not be written is tried again
_QUIET: Final = frozenset({"allowed", "approved", "info"})


@dataclass(frozen=True, slots=True)
class Files:
    """The policy file of one tool, and the file that its records go to."""

    tool: str
    policies: Path  # the directory: editors replace the file in it
    audit: Path

    def link(self, _: str, spool: Spool, owner: LinkOwner) -> ControlLink:
        return FileLink(self, spool, owner)


class FileLink(ControlLink):
    """A link to nobody. `up` is never true, so questions have no answer."""

    def __init__(self, files: Files, spool: Spool, owner: LinkOwner) -> None:
        super().__init__("", spool, owner)
        self._files = files
        self._there: frozenset[bytes] = frozenset()  # what an earlier process wrote, and its spool still has

    async def run(self) -> None:
        """Follow the policy file and keep the records, until cancelled."""
        self._spool.send_again()
        if self._spool.pending:
            self._there = await asyncio.to_thread(_written_last, self._files.audit)
        self._appended.set()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_policy())
            tasks.create_task(self._keep_records())

    async def drain(self, within: float) -> None:
        with suppress(OSError):
            self._write_records()

    async def _follow_policy(self) -> None:
        async for names in changes(self._files.policies):
            if self._files.tool in names:
                self._offer()

    def _offer(self) -> None:
        path = self._files.policies / f"{self._files.tool}.yaml"
        try:
            text = decode_policy(read_regular(path), file=path.name)
        except (OSError, PolicyError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            log.warning("%s cannot be used, the last good policy stays: %s", path, why)
        else:
            self._owner.set_policy(SetPolicy(policy=policy_hash(text), text=text))

    async def _keep_records(self) -> None:
        while True:
            await self._appended.wait()
            self._appended.clear()
            try:
                self._write_records()
            except OSError as error:
                log.warning("The audit log cannot be written now; records are kept: %s", error.strerror)
                self._spool.send_again()
                await asyncio.sleep(_TRY_AGAIN)
                self._appended.set()

    def _write_records(self) -> None:
        """Move what the spool has into the audit log. Raises `OSError`; then it is still in the spool."""
        while (batch := self._spool.take()) is not None:
            new = [line for line in (*batch.events, *batch.outcomes) if line not in self._there]
            _append(self._files.audit, new)
            self._spool.stored(batch)
            for event in batch.events:
                if event not in self._there:
                    _tell(json.loads(event))
        self._there = frozenset()


def _append(path: Path, lines: Sequence[bytes]) -> None:
    """Write all the lines, or none. Raises `OSError`."""
    data = b"".join(line + b"\n" for line in lines)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        if os.write(descriptor, data) != len(data):
            os.ftruncate(descriptor, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(descriptor)
    if size + len(data) > _LARGEST_LOG:
        path.rename(path.with_name(f"{path.stem}-{time.time_ns()}{path.suffix}"))


def _written_last(path: Path) -> frozenset[bytes]:
    """The latest lines of the log: more than a spool can still have of what was written."""
    before = sorted(path.parent.glob(f"{path.stem}-*{path.suffix}"))[-1:]
    return frozenset(line for each in (*before, path) for line in _tail(each).split(b"\n"))


def _tail(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LOOK_BACK))
            return file.read()
    except OSError:
        return b""


def _tell(event: dict[str, Any]) -> None:
    """Show what was refused, for whoever reads the container's log; records are safe to show."""
    if event["verdict"] not in _QUIET:
        words = " ".join(event["args"])
        log.info("%s: %s %s: %s", event["verdict"], event["plugin"], words, event.get("reason", ""))


def read_regular(path: Path) -> bytes:
    """Read at most one byte more than a policy may have; never waits. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "this is not a regular file")
        return file.read(MAX_BYTES + 1)

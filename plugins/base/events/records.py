"""Builds audit events and outcomes, and puts them into the spool.

Text is printable, free of what looks like a secret, and bounded before it gets here into a record. On the way
of every command, so plain dictionaries; they have the fields of `control.AuditEvent` and `control.Outcome`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from plugins.base.as_json import to_json
from plugins.base.events.spool import Spool
from plugins.base.model import Decision, Layer, Operation, Reason, RefUpdate, Verdict
from plugins.base.redact import redact, redact_args
from plugins.base.text import printable

_MOST_ARGS_TEXT: Final = 4096  # characters of all arguments of one event
_MOST_TEXT: Final = 1024  # characters of a reason, a directory, a remote
_MOST_UPDATES: Final = 100
_ELLIPSIS: Final = "…"


def new_id() -> str:
    return os.urandom(16).hex()


@dataclass(frozen=True, slots=True)
class About:
    """What the events of one command have in common. `args` and `cwd` are safe to store."""

    command: str
    args: tuple[str, ...]
    cwd: str
    caller: str
    policy: str


class Recorder:
    """Writes the records of one plugin."""

    def __init__(self, plugin: str, spool: Spool) -> None:
        self._plugin = plugin
        self._spool = spool

    def decision(
        self,
        about: About,
        layer: Layer,
        verdict: Verdict,
        operation: Operation | None = None,
        decision: Decision | None = None,
        *,
        reason: str = "",
        request: str = "",
    ) -> None:
        """Record a verdict. Raises `SpoolError`: then nothing may run.

        `reason` comes after the decision's first reason, which gives the rule, and before the others.
        """
        reasons = decision.reasons if decision is not None else ()
        self._event(
            about,
            layer=layer.value,
            verdict=verdict.value,
            rule=reasons[0].rule if reasons else "",
            rule_line=reasons[0].line if reasons else None,
            reason=_reason_text(reason, reasons),
            remote=safe_text(operation.remote) if operation is not None else "",
            updates=updates_of(operation.updates) if operation is not None else [],
            request=request,
        )

    def refusal(
        self, about: About, verdict: Verdict, reason: str, *, rule: str = "", layer: Layer = Layer.ARGV
    ) -> None:
        """Record what was refused without judging it. Raises `SpoolError`."""
        self._event(about, layer=layer.value, verdict=verdict.value, rule=rule, reason=safe_text(reason))

    def information(self, layer: str, reason: str, about: About | None = None) -> None:
        """Record something that happened, to the plugin or to a command. Raises `SpoolError`."""
        self._event(about or About("", (), "", "", ""), layer=layer, verdict="info", reason=safe_text(reason))

    def outcome(self, command: str, exit_code: int, duration_ms: float) -> None:
        """Record how a command that ran came to its end."""
        body = {
            "id": new_id(),
            "command": command,
            "exit_code": exit_code,
            "duration_ms": round(duration_ms, 3),
        }
        self._spool.outcome(to_json(body))

    def _event(self, about: About, **fields: Any) -> None:
        body = {
            "id": new_id(),
            "time": time.time(),
            "plugin": self._plugin,
            "command": about.command,
            "args": about.args,
            "cwd": about.cwd,
            "caller": about.caller,
            "policy": about.policy,
            **fields,
        }
        self._spool.event(to_json(body))


def _reason_text(note: str, reasons: Sequence[Reason]) -> str:
    """Why it is refused comes first, and what became of it next: what is cut is the rest."""
    messages = [reason.message for reason in reasons]
    return safe_text(" ".join([*messages[:1], *([note] if note else []), *messages[1:]]))


def updates_of(updates: Sequence[RefUpdate]) -> list[dict[str, object]]:
    """Ref updates as they are recorded."""
    return [
        {
            "ref": safe_text(update.ref),
            "old": safe_text(update.old),
            "new": safe_text(update.new),
            "fast_forward": update.fast_forward,
        }
        for update in updates[:_MOST_UPDATES]
    ]


def safe_text(untrusted_text: str, most: int = _MOST_TEXT) -> str:
    """One line, printable, without what looks like a secret, and not longer than `most`."""
    if not untrusted_text:
        return ""
    if untrusted_text.isascii() and untrusted_text.isprintable():
        text = untrusted_text[: 4 * most]
    else:
        text = printable(untrusted_text[: 4 * most])
    text = redact(text)
    return text if len(text) <= most else text[: most - 1] + _ELLIPSIS


def safe_directory(untrusted_path: str) -> str:
    """The same for a working directory; callers are in few, so they are remembered."""
    return (
        _known_directory(untrusted_path) if len(untrusted_path) <= _MOST_TEXT else safe_text(untrusted_path)
    )


@lru_cache(maxsize=64)
def _known_directory(untrusted_path: str) -> str:
    return safe_text(untrusted_path)


def safe_args(untrusted_args: Sequence[str]) -> tuple[str, ...]:
    """The same for a command line; what is too much is left out, and said."""
    args = tuple(untrusted_args)  # agents repeat themselves; what they repeat is short
    return _known_args(args) if sum(map(len, args)) <= _MOST_TEXT else _safe_args(args)


@lru_cache(maxsize=256)
def _known_args(untrusted_args: tuple[str, ...]) -> tuple[str, ...]:
    return _safe_args(untrusted_args)


def _safe_args(untrusted_args: tuple[str, ...]) -> tuple[str, ...]:
    kept: list[str] = []
    room = _MOST_ARGS_TEXT
    for arg in untrusted_args:
        kept.append(
            printable(arg[: 2 * room]) if not (arg.isascii() and arg.isprintable()) else arg[: 2 * room]
        )
        room -= len(kept[-1]) + 1
        if room <= 0:
            break
    return _cut(redact_args(kept), left_out=len(untrusted_args) - len(kept))


def _cut(args: Sequence[str], left_out: int) -> tuple[str, ...]:
    kept: list[str] = []
    room = _MOST_ARGS_TEXT
    for arg in args:
        kept.append(arg if len(arg) <= room else arg[: max(0, room - 1)] + _ELLIPSIS)
        room -= len(kept[-1]) + 1
    return (*kept, f"{_ELLIPSIS} and {left_out} more") if left_out > 0 else tuple(kept)

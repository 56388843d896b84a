"""One blocked command's question, and how its answers reach who asked. No decisions are taken here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Literal

from plugins.base.control import Answer, Ask, Update
from plugins.base.text import printable

_LONGEST_DETAILS = 256 * 1024  # characters, as are the next two
_LONGEST_ARGS = 64 * 1024
_LONGEST_TEXT = 4096
_MOST_ITEMS = 1000  # updates, reasons

Outcome = Literal["waiting", "approved", "denied", "expired", "later"]


class Question(AsyncIterator[Answer]):
    """One command's question: iterate for its answers; the last one ends the iteration.

    Cancelling the task that iterates, or `forget`, tells that the command is gone.
    """

    def __init__(self, ask: Ask, gone: Callable[[Question], object]) -> None:
        self.ask = ask
        self.request = ""
        self.deadline: float | None = None  # seconds since the epoch, while it waits
        self.timer: asyncio.TimerHandle | None = None
        self._gone = gone
        self._answers: asyncio.Queue[Answer | None] = asyncio.Queue()
        self._ended = False

    def answer(self, outcome: Outcome, request: str = "", reason: str = "") -> None:
        """Give an answer; any but `waiting` is the last one."""
        self.request = request
        self._answers.put_nowait(Answer(ask=self.ask.ask, outcome=outcome, request=request, reason=reason))
        if outcome != "waiting":
            self.end()

    def end(self) -> None:
        """Give no more answers."""
        if not self._ended:
            self._ended = True
            self._answers.put_nowait(None)
        if self.timer is not None:
            self.timer.cancel()

    def forget(self) -> None:
        """The command is gone: it needs no answer any more. Its request stays."""
        self._gone(self)
        self.end()

    def __aiter__(self) -> Question:
        return self

    async def __anext__(self) -> Answer:
        if self._ended and self._answers.empty():
            raise StopAsyncIteration
        try:
            answer = await self._answers.get()
        except asyncio.CancelledError:
            self.forget()
            raise
        if answer is None:
            raise StopAsyncIteration
        return answer


def bounded(ask: Ask, plugin: str) -> Ask:
    """The question as it may be stored and shown: by `plugin`, printable, of bounded size."""
    return ask.model_copy(
        update={
            "plugin": plugin,
            "args": _cut(ask.args),
            "cwd": _line(ask.cwd),
            "caller": _line(ask.caller),
            "remote": _line(ask.remote),
            "reasons": tuple((_line(rule), at, _line(text)) for rule, at, text in ask.reasons[:_MOST_ITEMS]),
            "updates": tuple(map(_update, ask.updates[:_MOST_ITEMS])),
            "details": _text(ask.details),
        }
    )


def _line(untrusted_text: str) -> str:
    return printable(untrusted_text[:_LONGEST_TEXT])


def _text(untrusted_text: str) -> str:
    """Several lines; tabs stay."""
    cut = untrusted_text[:_LONGEST_DETAILS]
    note = "\n… (the rest is too long to be shown)" if len(untrusted_text) > len(cut) else ""
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in cut.split("\n")) + note


def _cut(untrusted_args: tuple[str, ...]) -> tuple[str, ...]:
    """The arguments, as many as have room; a last one says how many more there are."""
    args: list[str] = []
    room = _LONGEST_ARGS
    for untrusted_arg in untrusted_args:
        room -= len(untrusted_arg) + 1
        if room < 0:
            return (*args, f"… and {len(untrusted_args) - len(args)} more")
        args.append(printable(untrusted_arg))
    return tuple(args)


def _update(update: Update) -> Update:
    return update.model_copy(
        update={"ref": _line(update.ref), "old": _line(update.old), "new": _line(update.new)}
    )

"""The commands that wait for an operator's answer, by request. No decisions are taken here.

Everything runs in one event loop and nothing polls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from plugins.base.control import Ask
from supervisor.approvals.questions import Question
from supervisor.status import Request

MOST_WAITING = 256  # commands of one plugin
LONGEST_HOLD = 86400.0  # seconds

# Who asks: a tool's plugin and its gateway number their questions each for itself.
_Key = tuple[str, str, str, int]


class Waiting:
    """Who waits for which request, and until when.

    `changed` is called after every change that nobody asked for here; `deserted` with a request's id when the
    time of the last one that waited for it is over.
    """

    def __init__(
        self, clock: Callable[[], float], changed: Callable[[], None], deserted: Callable[[str], None]
    ) -> None:
        self._clock = clock
        self._changed = changed
        self._deserted = deserted
        self._by_request: dict[str, list[Question]] = {}  # the oldest first
        self._questions: dict[_Key, Question] = {}

    def has_room(self, ask: Ask) -> bool:
        waiting = sum(question.ask.plugin == ask.plugin for question in self._questions.values())
        return ask.hold_seconds > 0 and waiting < MOST_WAITING

    def hold(self, question: Question, request: str) -> None:
        """Let it wait for as long as its policy says."""
        seconds = min(question.ask.hold_seconds, LONGEST_HOLD)
        question.deadline = self._clock() + seconds
        question.timer = asyncio.get_running_loop().call_later(seconds, self._expire, question)
        self.add(question, request)

    def add(self, question: Question, request: str) -> None:
        """Let it wait for this request; its time goes on."""
        self._questions[_key(question.ask)] = question
        self._by_request.setdefault(request, []).append(question)
        question.answer("waiting", request)

    def find(self, ask: Ask, plugin: str = "") -> Question | None:
        return self._questions.get(_key(ask, plugin))

    def count(self, request: str) -> int:
        """How many commands wait for this request."""
        return len(self._by_request.get(request, ()))

    def leave(self, question: Question) -> bool:
        """Take a question out of those that wait; whether it was the last one of its request."""
        if self._questions.get(_key(question.ask)) is not question:
            return False
        del self._questions[_key(question.ask)]
        waiting = self._by_request[question.request]
        waiting.remove(question)
        if not waiting:
            del self._by_request[question.request]
        self._changed()
        return not waiting

    def take(self, request: str) -> list[Question]:
        """All that wait for this request, which do so no longer."""
        questions = self._by_request.pop(request, [])
        for question in questions:
            del self._questions[_key(question.ask)]
        return questions

    def close(self) -> None:
        """End all questions without an answer."""
        for question in [*self._questions.values()]:
            question.forget()

    def live(self, request: Request) -> Request:
        """The request with what is known of its waiting commands."""
        questions = self._by_request.get(request.id, ())
        deadlines = [question.deadline for question in questions if question.deadline is not None]
        return request.model_copy(
            update={"waiting": len(questions), "deadline": max(deadlines, default=None)}
        )

    def _expire(self, question: Question) -> None:
        """Nobody answered this command in time."""
        request = question.request
        if self.leave(question):
            self._deserted(request)
        question.answer("expired", request)
        self._changed()


def _key(ask: Ask, plugin: str = "") -> _Key:
    return plugin or ask.plugin, ask.layer, ask.command, ask.ask

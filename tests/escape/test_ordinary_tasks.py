"""Ordinary work does the same through us as with plain git: output, exit status, and the remote's refs."""

from __future__ import annotations

import re

import pytest

from tests.escape.site import Done, Site
from tests.escape.tasks import TASKS


def _comparable(done: Done) -> tuple[int, list[str]]:
    """What git said, without what differs from run to run or by the server's progress messages."""
    text = re.sub(r"[^\n]*\r", "", done.output)
    lines = [line for line in text.splitlines() if not re.match(r"remote: (Enum|Count|Compress|Total)", line)]
    return done.exit_code, lines


def test_there_are_enough_tasks() -> None:
    assert len(TASKS) >= 40


@pytest.mark.parametrize("name", TASKS)
def test_an_ordinary_task_works_as_with_plain_git(place: Site, name: str) -> None:
    natively = place.native(TASKS[name])
    assert natively.exit_code == 0, natively.output
    expected = place.all_refs()
    place.reset()
    contained = place.contained(TASKS[name])
    assert _comparable(contained) == _comparable(natively)
    assert place.all_refs() == expected

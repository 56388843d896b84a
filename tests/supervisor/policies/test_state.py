"""File, last good policy and enforcement: what is sent, and what is shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from plugins.base.control import Applied
from plugins.base.policy import Problem, parse_policy, policy_hash
from supervisor.policies import state as policy_state
from supervisor.policies.state import PolicyState
from supervisor.policies.store import PolicyFile

OLD = "plugin: tool\nversion: 1\nrules: {}\n"
NEW = f"{OLD}# new\n"
NONE = PolicyState()


def file(text: str) -> PolicyFile:
    return PolicyFile(
        Path("tool.yaml"), text, policy_hash(text), policy=parse_policy(text, file="tool.yaml", plugin="tool")
    )


BAD = PolicyFile(Path("tool.yaml"), "bad", policy_hash("bad"), (Problem(2, 3, "it is bad", "tool.yaml"),))
SENT = policy_state.with_file(policy_state.with_good(NONE, OLD), file(NEW))
IN_FORCE = policy_state.with_answer(SENT, Applied(policy=policy_hash(NEW)))
REFUSED = policy_state.with_answer(SENT, Applied(policy=policy_hash(NEW), problems=("no",)))
SPOILT = policy_state.with_file(policy_state.with_good(IN_FORCE, NEW), BAD)


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (NONE, None),
        (SENT, NEW),
        (IN_FORCE, None),
        (policy_state.with_file(NONE, BAD), None),
        (SPOILT, None),
        (replace(SPOILT, enforced=""), NEW),
        (REFUSED, OLD),
        (replace(REFUSED, good=None), None),
        (replace(REFUSED, enforced=policy_hash(OLD)), None),
    ],
)
def test_what_is_sent(state: PolicyState, text: str | None) -> None:
    message = policy_state.to_send(state)
    assert (message and message.text) == text
    assert message is None or message.policy == policy_hash(message.text)


@pytest.mark.parametrize(
    ("state", "linked", "word"),
    [
        (NONE, True, "missing"),
        (policy_state.with_file(NONE, BAD), True, "missing"),
        (SENT, True, "stale"),
        (IN_FORCE, True, "enforced"),
        (IN_FORCE, False, "stale"),
        (SPOILT, True, "invalid"),
        (replace(SPOILT, enforced=""), False, "invalid"),
        (REFUSED, True, "invalid"),
    ],
)
def test_what_is_shown(state: PolicyState, linked: bool, word: str) -> None:
    assert policy_state.status(state, linked=linked).state == word


def test_problems_are_shown_with_their_place() -> None:
    assert policy_state.status(SPOILT, linked=True).problems == ("tool.yaml:2:3: it is bad",)
    assert policy_state.status(REFUSED, linked=True).problems == ("no",)


def test_a_policy_is_good_from_when_it_is_enforced_and_only_once() -> None:
    assert policy_state.newly_good(SENT) is None
    assert policy_state.newly_good(IN_FORCE) == NEW
    assert policy_state.newly_good(policy_state.with_good(IN_FORCE, NEW)) is None
    assert policy_state.newly_good(SPOILT) is None
    assert policy_state.newly_good(REFUSED) is None

"""One plugin's policy: the file, what was in force last, and what the plugin enforces. Pure.

A file with problems never takes the place of a good one: what is sent then is what was in force last.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from plugins.base.control import Applied, SetPolicy
from plugins.base.policy import policy_hash
from supervisor.policies.store import PolicyFile
from supervisor.status import PolicyStatus


@dataclass(frozen=True, slots=True)
class PolicyState:
    """What is known of one plugin's policy."""

    file_hash: str = ""
    text: str | None = None  # what the file says; None: it has problems
    problems: tuple[str, ...] = ()
    good: str | None = None  # the text that was in force last
    enforced: str = ""  # hash that the plugin acknowledged last
    refused: str = ""  # hash that the plugin did not take over ...
    refused_problems: tuple[str, ...] = ()  # ... and why


def with_file(state: PolicyState, file: PolicyFile) -> PolicyState:
    """The file was read."""
    good = file.policy is not None
    return replace(
        state, file_hash=file.hash, text=file.text if good else None,
        problems=tuple(map(str, file.problems)),
    )  # fmt: skip


def with_answer(state: PolicyState, applied: Applied) -> PolicyState:
    """The plugin said what it made of a policy."""
    if applied.problems:
        return replace(state, refused=applied.policy, refused_problems=applied.problems)
    return replace(state, enforced=applied.policy, refused="", refused_problems=())


def with_good(state: PolicyState, text: str | None) -> PolicyState:
    """The text that was in force last is known, or is another one."""
    return replace(state, good=text)


def to_send(state: PolicyState) -> SetPolicy | None:
    """What the plugin should enforce; None when it does already, or when there is nothing good."""
    text = state.text
    if text is None or policy_hash(text) == state.refused:
        text = state.good
    if text is None:
        return None
    name = policy_hash(text)
    return None if name in (state.enforced, state.refused) else SetPolicy(policy=name, text=text)


def newly_good(state: PolicyState) -> str | None:
    """The file's text, when it is enforced now and was not the last good one before."""
    if state.text is None or state.text == state.good or policy_hash(state.text) != state.enforced:
        return None
    return state.text


def status(state: PolicyState, *, linked: bool) -> PolicyStatus:
    """How file and enforcement relate, in one word and with the problems."""
    problems = state.problems
    if state.text is None:
        word = "invalid" if state.good is not None or state.enforced else "missing"
    elif state.file_hash == state.refused:
        word, problems = "invalid", state.refused_problems
    else:
        word = "enforced" if linked and state.file_hash == state.enforced else "stale"
    return PolicyStatus.model_validate(
        {"state": word, "file_hash": state.file_hash, "enforced_hash": state.enforced, "problems": problems}
    )

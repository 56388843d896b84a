"""Optional checks of a commit: its files and its message. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from plugins.base.model import Reason
from plugins.base.text import printable
from plugins.git import patterns

if TYPE_CHECKING:
    from plugins.base.policy import Policy
    from plugins.git.operation import GitOperation
    from plugins.git.rules import GitRules

_SUBJECT_LIMIT = 500  # characters: what a regular expression is tried on has a bound


def file_sizes(policy: Policy, rules: GitRules, operation: GitOperation) -> Iterator[Reason]:
    limit = rules.max_file_bytes
    for file in operation.files:
        if limit is not None and file.size > limit:
            yield policy.reason(
                "max_file_bytes",
                f"{printable(file.path)} has {file.size:,} bytes; a file may have {limit:,}.",
                _unstage(file.path),
            )


def paths(policy: Policy, rules: GitRules, operation: GitOperation) -> Iterator[Reason]:
    for file in operation.files:
        pattern = next(
            (each for each in rules.forbidden_paths if patterns.path_matches(each, file.path)), None
        )
        if pattern is not None:
            yield policy.reason(
                "forbidden_paths",
                f"{printable(file.path)} may not be committed ({pattern}).",
                _unstage(file.path),
            )


def message(policy: Policy, rules: GitRules, operation: GitOperation) -> Iterator[Reason]:
    pattern = rules.commit_message_pattern
    if pattern is None or operation.message is None:
        return
    subject = operation.message.partition("\n")[0][:_SUBJECT_LIMIT]
    if re.search(pattern, subject) is None:
        yield policy.reason(
            "commit_message_pattern",
            f"The first line of the message does not match {pattern}",
            'Correct it: git commit -e -F "$(git rev-parse --git-path COMMIT_EDITMSG)"',
        )


def _unstage(path: str) -> str:
    return f"Take it out of the commit: git rm --cached --force -- {shlex.quote(printable(path))}"

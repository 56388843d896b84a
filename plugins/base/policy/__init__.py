"""Policy files: text in, a typed and frozen `Policy` out, or every problem with its line.

A policy is parsed strictly and as a whole. There is no half-valid policy: whatever is unknown,
misspelled, of the wrong type or ambiguous makes `parse_policy` raise, and the one who called it
keeps the last good policy (or, with none, refuses everything). No message shows the value of a
credential.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from plugins.base.errors import Denied
from plugins.base.model import Reason
from plugins.base.policy.reading import credential_hosts, read_policy
from plugins.base.policy.schema import Access, Approvals, Limits, Network, PolicyFile, Remotes, rule_names
from plugins.base.policy.yaml_nodes import Document
from plugins.base.rules import ToolRules

MAX_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong with a policy file. Line and column are 1-based."""

    line: int
    column: int
    message: str
    file: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class PolicyError(Denied):
    """A policy file has problems, so none of it counts."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        first, more = str(problems[0]), len(problems) - 1
        suffix = f" (and {more} more problem{'s' if more > 1 else ''})" if more else ""
        super().__init__(
            first + suffix, hint="Correct the file; see all problems with: claude-container policy check"
        )
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Policy:
    """What one tool may do. Made by `parse_policy` alone."""

    plugin: str
    version: int
    credentials: Mapping[str, str]  # name of the credential -> environment variable that holds it
    credential_hosts: Mapping[str, tuple[str, ...]]  # for each credential, where it may be sent
    remotes: Remotes
    network: Network
    rules: ToolRules
    approvals: Approvals
    limits: Limits
    access: Access
    hash: str  # see `policy_hash`
    text: str
    lines: Mapping[str, int]  # "rules.blocked_branches" -> line of the key; only what the file says

    def line_of(self, rule: str) -> int | None:
        """The line of a rule ("blocked_branches", "remotes.push"); None when a default applies."""
        for name in (f"rules.{rule}", rule, rule.partition(".")[0]):
            if name in self.lines:
                return self.lines[name]
        return None

    def reason(
        self, rule: str, message: str, hint: str = "", *, ref: str = "", approvable: bool | None = None
    ) -> Reason:
        """A reason against an operation, with the rule's line.

        It is approvable only when `approvals` allows it for this rule, whatever the caller says;
        a rule that the file cannot name ("internal") is not approvable unless the caller says so.
        """
        if approvable is None:
            approvable = rule in self.rule_names
        open_to_approval = self.approvals.on_block == "hold" and rule not in self.approvals.never
        return Reason(
            rule, message, hint, line=self.line_of(rule), approvable=approvable and open_to_approval, ref=ref
        )

    @property
    def rule_names(self) -> tuple[str, ...]:
        """Every name that `approvals.never` may list, and that a reason may carry."""
        return rule_names(type(self.rules))


def policy_hash(text: str) -> str:
    """The name of a policy: SHA-256 of its UTF-8 bytes, in hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def decode_policy(data: bytes, *, file: str) -> str:
    """Turn the bytes of a policy file into its text. Raises `PolicyError` for what is not text."""
    if len(data) > MAX_BYTES:
        raise _error(1, 1, f"the file is larger than {MAX_BYTES // 1024} KiB", file)
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise _error(1, 1, "the file starts with a byte order mark; save it as UTF-8 without BOM", file)
    if b"\0" in data:
        line, column = _position(data, data.index(b"\0"))
        raise _error(line, column, "the file is not text (it has zero bytes)", file)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line, column = _position(data, error.start)
        raise _error(line, column, "this byte is not UTF-8; save the file as UTF-8", file) from None


def parse_policy(
    text: str, *, file: str = "git.yaml", rules_model: type[ToolRules] = ToolRules, plugin: str | None = None
) -> Policy:
    """Parse a policy file. Raises `PolicyError` with all its problems, sorted by line.

    `plugin` is the tool that the file is for; the file must say the same.
    """
    if len(text) > MAX_BYTES:
        raise _error(1, 1, f"the file is larger than {MAX_BYTES // 1024} KiB", file)
    found, document, faults = read_policy(text, rules_model, plugin)
    if found is None:
        problems = {Problem(fault.place.line, fault.place.column, fault.message, file) for fault in faults}
        raise PolicyError(tuple(sorted(problems)))
    return _policy(found, document, text)


def _policy(found: PolicyFile, document: Document, text: str) -> Policy:
    sections = {name: getattr(found, name) for name in PolicyFile.model_fields}
    sections |= {"credential_hosts": credential_hosts(found)}
    lines = {".".join(map(str, path)): place.line for path, place in document.keys.items()}
    return Policy(**sections, hash=policy_hash(text), text=text, lines=lines)


def _position(data: bytes, offset: int) -> tuple[int, int]:
    """Line and column, in characters, of a byte offset."""
    start = data.rfind(b"\n", 0, offset) + 1
    return data.count(b"\n", 0, offset) + 1, len(data[start:offset].decode("utf-8", "replace")) + 1


def _error(line: int, column: int, message: str, file: str) -> PolicyError:
    return PolicyError((Problem(line, column, message, file),))

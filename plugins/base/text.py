"""Text from the agent, made safe to store and to show."""

from __future__ import annotations

import re
from collections.abc import Sequence

# C0 and C1 controls, DEL, bidirectional overrides and isolates, line and paragraph separators.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069\ufeff]")


def printable(untrusted_text: str) -> str:
    """Return the text as valid Unicode on one line: controls, bidi marks and stray bytes are escaped.

    Bytes that are not UTF-8 (as `surrogateescape` characters) become `\\xNN`.
    """
    text = untrusted_text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return _UNSAFE.sub(lambda match: match.group().encode("unicode_escape").decode("ascii"), text)


def command_line(tool: str, untrusted_args: Sequence[str]) -> str:
    """Return the command on one line, safe to show; arguments with spaces, and empty ones, are quoted."""
    return printable(" ".join((tool, *map(_quoted, untrusted_args))))


def _quoted(argument: str) -> str:
    return f"'{argument}'" if not argument or any(character.isspace() for character in argument) else argument

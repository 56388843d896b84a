"""Takes secrets out of text before it is written anywhere.

A second line of defence: nothing here holds a secret on purpose. What looks like one (a token's known
shape, userinfo in a URL, an Authorization header, a value behind a telling name) becomes `[redacted]`.
"""

from __future__ import annotations

import re
from typing import Final

REDACTED: Final = "[redacted]"

_SHAPES: Final = re.compile(
    r"\b(?:gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{20,}|glpat-[\w-]{16,}|npm_[A-Za-z0-9]{20,}"
    r"|sk-(?:ant-)?[\w-]{16,}|xox[abprs]-[\w-]{10,}|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[\w-]{30,}"
    r"|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*)"
)
_USERINFO: Final = re.compile(r"(?P<before>[A-Za-z][\w+.-]*://)[^/\s@?#]+@")
_HEADER: Final = re.compile(
    r"(?P<before>\b(?:proxy-)?authorization\s*[:=]\s*(?:(?:basic|bearer|token)\s+)?|\b(?:basic|bearer)\s+(?=\S{12}))"
    r"\S+",
    re.IGNORECASE,
)
_NAMED: Final = re.compile(
    r"(?P<before>\b[\w.-]*(?:password|passwd|secret|token|api[_-]?key|credential)[\w-]*\s*[=:]\s*)[^\s\"'&]{4,}",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """Return the text without what looks like a secret."""
    text = _USERINFO.sub(rf"\g<before>{REDACTED}@", text)
    text = _HEADER.sub(rf"\g<before>{REDACTED}", text)
    text = _SHAPES.sub(REDACTED, text)
    return _NAMED.sub(rf"\g<before>{REDACTED}", text)

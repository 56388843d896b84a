"""Takes secrets out of text before it is written anywhere. Pure.

A second line of defence: nothing here holds a secret on purpose. What looks like one (a token's known
shape, userinfo in a URL, an Authorization header, a value behind a telling name) becomes `[redacted]`.
Every pattern is bounded: the time is proportional to the text, whoever wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

REDACTED: Final = "[redacted]"

# Nothing below can match a text in which this finds nothing.
_PERHAPS: Final = re.compile(
    r"://|gh[pousr]_|github_pat_|gl[a-z]{2,5}-|npm_|sk-|xox|akia|asia|aiza|eyj|private key"
    r"|authorization|basic|bearer|extraheader|passw|passphrase|secret|token|api.?key|access.?key|credential|_auth",
    re.IGNORECASE,
)
_SHAPES: Final = re.compile(
    r"gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{20,}|gl(?:pat|dt|rt|cbt|ptt|ft|soat)-[\w.-]{16,}"
    r"|npm_[A-Za-z0-9]{20,}|sk-(?:ant-)?[\w-]{16,}|xox[abeoprs]-[\w-]{10,}|(?:AKIA|ASIA)[A-Z0-9]{16}"
    r"|AIza[\w-]{30,}|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*"
    r"|-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^-]*(?:-----END [A-Z ]{0,30}PRIVATE KEY-----)?"
)
_USERINFO: Final = re.compile(r"(?P<before>://)(?!(?:git|hg)@)[^/\s?#]{1,2048}@")
_HEADER: Final = re.compile(
    r"(?P<before>(?:proxy-)?authorization[\"']?\s{0,8}[:=]\s{0,8}[\"']?(?:(?:basic|bearer|token)\s{1,8})?"
    r"|\b(?:basic|bearer)\s{1,8}(?=\S{12}))[^\s\"']+",
    re.IGNORECASE,
)
_EXTRA_HEADER: Final = re.compile(r"(?P<before>extraheader\s{0,8}=)[^\n]+", re.IGNORECASE)
_TELLING: Final = (
    r"(?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|credential|\b_auth)[\w-]{0,40}"
)
_NAMED: Final = re.compile(
    rf"(?P<before>{_TELLING}[\"']?\s{{0,8}}[=:]\s{{0,8}}[\"']?)[^\s\"'&,;]{{6,}}", re.IGNORECASE
)
_OPTION: Final = re.compile(
    rf"-{{1,2}}[\w.:@/-]{{0,80}}{_TELLING}|[\w.:@/-]{{0,80}}extraheader", re.IGNORECASE
)


def redact(text: str) -> str:
    """Return the text without what looks like a secret."""
    if not _PERHAPS.search(text):
        return text
    text = _EXTRA_HEADER.sub(rf"\g<before>{REDACTED}", text)
    text = _USERINFO.sub(rf"\g<before>{REDACTED}@", text)
    text = _HEADER.sub(rf"\g<before>{REDACTED}", text)
    text = _SHAPES.sub(REDACTED, text)
    return _NAMED.sub(rf"\g<before>{REDACTED}", text)


def redact_args(args: Sequence[str]) -> tuple[str, ...]:
    """The same for a command line, where a secret can also be the word after its name (`--token VALUE`)."""
    if not _PERHAPS.search("\n".join(args)):
        return tuple(args)
    redacted: list[str] = []
    before = ""
    for arg in args:
        hide = len(arg) >= 6 and not arg.startswith("-") and _OPTION.fullmatch(before)
        redacted.append(REDACTED if hide else redact(arg))
        before = arg
    return tuple(redacted)

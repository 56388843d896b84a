"""Chooses what of a caller's environment reaches a tool. Pure.

The worker is powerless whatever it gets; this keeps out what would choose programs, libraries or
configuration in place of the plugin's own, and what would tell the tool about places that are not there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

MOST_VARIABLES: Final = 1024
LONGEST_VALUE: Final = 128 * 1024 - 256  # characters; the kernel's MAX_ARG_STRLEN is for `NAME=value`
LONGEST_TOTAL: Final = 1024 * 1024

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_EXACT: Final = frozenset(
    {
        "LANG", "LANGUAGE", "TZ",
        "TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES",
        "PAGER", "LESS", "LESSCHARSET", "LV", "EDITOR", "VISUAL",
        "EMAIL", "SOURCE_DATE_EPOCH", "CI", "FILTER_BRANCH_SQUELCH_WARNING",
    }
)  # fmt: skip
_PREFIXES: Final = ("GIT_", "LC_", "npm_config_", "NPM_CONFIG_")

# Programs, configuration and transports are the plugin's to choose.
_NEVER: Final = frozenset(
    {
        "GIT_EXEC_PATH", "GIT_TEMPLATE_DIR", "GIT_ASKPASS", "GIT_PROXY_COMMAND", "GIT_ALLOW_PROTOCOL",
        "GIT_PROTOCOL_FROM_USER", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM",
    }
)  # fmt: skip
_NEVER_PREFIXES: Final = ("GIT_SSH", "GIT_SSL_", "GIT_PROXY_SSL_", "GIT_HTTP_PROXY", "GIT_TEST_")
# Tracing to stderr or to a file; not to a descriptor, which in the worker may be something else.
_TRACE_PREFIX: Final = "GIT_TRACE"
_TRACE_VALUES: Final = frozenset({"", "0", "1", "2", "true", "false"})


def passed_on(untrusted: Mapping[str, str]) -> dict[str, str]:
    """Return what a tool legitimately reads: `GIT_*`, locale, time zone, terminal, colour, pager, editor.

    Bounded in number and size; what is beyond is left out.
    """
    kept: dict[str, str] = {}
    room = LONGEST_TOTAL
    for name, value in untrusted.items():
        if not (name in _EXACT or name.startswith(_PREFIXES)) or not _fits(name, value):
            continue
        room -= len(name) + len(value) + 2
        if room < 0 or len(kept) >= MOST_VARIABLES:
            break
        kept[name] = value
    return kept


def _fits(name: str, value: str) -> bool:
    if name in _NEVER or name.startswith(_NEVER_PREFIXES):
        return False
    if name.startswith(_TRACE_PREFIX) and value not in _TRACE_VALUES and not value.startswith("/"):
        return False
    return len(value) <= LONGEST_VALUE and _NAME.fullmatch(name) is not None

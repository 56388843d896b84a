"""Says in one plain sentence what is wrong with a text that is not YAML, and where."""

from __future__ import annotations

from typing import Any

import yaml

# What PyYAML says (a part of it), and what it means for somebody who edits a policy. The first match counts.
_MEANINGS: tuple[tuple[str, str], ...] = (
    ("found character '\\t'", "a tab stands where the indentation must be spaces"),
    ("that cannot start any token", "a value cannot start with this character; put it in quotes"),
    (
        "mapping values are not allowed",
        "a `:` stands where no key can be; check the indentation, or use quotes",
    ),
    ("could not find expected ':'", "a key without its `:`, or a line that is indented wrongly"),
    ("expected ',' or ']'", "a list in [...] lacks a comma or its closing `]`"),
    ("expected ',' or '}'", "a mapping in {...} lacks a comma or its closing `}`"),
    ("while scanning a quoted scalar", "a quoted text has no closing quote, or a wrong escape"),
    ("expected <block end>", "the indentation does not fit the lines before"),
    ("sequence entries are not allowed", "a `-` item cannot stand here; put it on a line of its own"),
    ("expected the node content", "a value is missing here"),
    ("while scanning a directive", "a line that starts with `%` must be in quotes or a comment"),
    ("ing a tag", "a value that starts with `!` must be in quotes"),
    ("expected alphabetic or numeric", "a value that starts with `*` or `&` must be in quotes"),
    ("while scanning a block scalar", "the text after `|` or `>` is indented wrongly"),
    ("found unknown escape", "a wrong escape in a quoted text; use single quotes"),
)


def syntax_problem(error: yaml.YAMLError, text: str) -> tuple[int, int, str]:
    """Return line and column (1-based) of a syntax error and one sentence that explains it."""
    mark: Any = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    said = f"{getattr(error, 'problem', '') or ''} {getattr(error, 'context', '') or ''}"
    message = next((meaning for part, meaning in _MEANINGS if part in said), "this is not valid YAML")
    if mark is None:
        return text.count("\n") + 1, 1, message
    opened: Any = getattr(error, "context_mark", None)
    if opened is not None and opened.line != mark.line:
        message += f" (it begins on line {opened.line + 1})"
    return mark.line + 1, mark.column + 1, message

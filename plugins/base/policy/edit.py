"""Changes one value in a policy's text; every other byte, comments included, stays as it was.

An edit is a few splices at the places of YAML nodes. The result is read again and compared with
what the edit was to achieve: an edit that would change anything else is refused, never returned.
Pure; nothing is written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml

from plugins.base.errors import ClaudeContainerError
from plugins.base.policy.yaml_nodes import compose, load, quote

Scalar = str | int | float | bool

_PLAIN = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_./*@+=-]|(?<! ) (?=[A-Za-z0-9_.*@+=-]))*")
_GAP = re.compile(r"(?:[ \t\r\n]|#[^\n]*(?=\n))*")
_ITEM_PREFIX = re.compile(r"[ ]*-[ ]+")


class EditError(ClaudeContainerError):
    """The text cannot be changed in this way; it must be edited by hand."""


@dataclass(frozen=True, slots=True, order=True)
class _Splice:
    start: int
    end: int
    text: str


def add_item(text: str, path: str, value: Scalar) -> str:
    """Add `value` at the end of the list at `path` ("rules.blocked_branches"), which is made if missing.

    A list that has it already stays as it is. Raises `EditError`.
    """
    root = _root(text)
    node = _find(root, path)
    if isinstance(node, yaml.SequenceNode) and value in _value_at(text, path):
        return text
    if node is None:
        splices = _insertion(text, root, path.split("."), f"[{_written(value)}]")
    elif not isinstance(node, yaml.SequenceNode):
        raise EditError(f"{quote(path)} is not a list.", hint="Edit the file by hand.")
    elif node.flow_style:
        splices = [_flow_addition(node, _written(value))]
    else:
        splices = [_block_addition(text, node, _written(value))]
    return _apply(text, splices, path, lambda old: (*(old or ()), value))


def remove_item(text: str, path: str, value: Scalar) -> str:
    """Take `value` out of the list at `path`. Raises `EditError`, also when it is not there."""
    root = _root(text)
    node = _find(root, path)
    values = _value_at(text, path) if isinstance(node, yaml.SequenceNode) else ()
    if not isinstance(node, yaml.SequenceNode) or value not in values:
        raise EditError(f"{quote(path)} has no {quote(str(value))}.", hint="Load the policy again.")
    index = values.index(value)
    if node.flow_style:
        splices = _flow_removal(text, node, index)
    else:
        splices = [_block_removal(text, node.value[index])]
        if len(values) == 1:
            splices.append(_Splice(colon := _colon(text, root, path), colon, " []"))
    return _apply(text, splices, path, lambda old: (*old[:index], *old[index + 1 :]))


def set_scalar(text: str, path: str, value: Scalar) -> str:
    """Set the single value at `path` ("rules.allow_tags"), which is added if missing. Raises `EditError`."""
    root = _root(text)
    node = _find(root, path)
    if node is None:
        splices = _insertion(text, root, path.split("."), _written(value))
    elif not isinstance(node, yaml.ScalarNode):
        raise EditError(f"{quote(path)} is not a single value.", hint="Edit the file by hand.")
    else:
        end = node.end_mark.index
        kept = _newline(text) if node.style in ("|", ">") else ""
        splices = [_Splice(node.start_mark.index, end, _written(value) + kept)]
    return _apply(text, splices, path, lambda _: value)


# ---------------------------------------------------------------- finding


def _root(text: str) -> yaml.MappingNode:
    """The tree of a text without faults: places in a faulty one cannot be trusted."""
    if not load(text).faults:
        root = compose(text, [])
        if isinstance(root, yaml.MappingNode):
            return root
    raise EditError("A policy with problems cannot be changed by a command.", hint="Correct the file first.")


def _find(node: yaml.Node, path: str) -> yaml.Node | None:
    for key in path.split("."):
        entry = _entry(node, key)
        if entry is None:
            return None
        node = entry[1]
    return node


def _colon(text: str, root: yaml.Node, path: str) -> int:
    """The position after the colon of the key at `path`."""
    section, _, key = path.rpartition(".")
    parent = _find(root, section) if section else root
    entry = _entry(parent, key) if parent else None
    return text.index(":", int(entry[0].end_mark.index)) + 1 if entry else 0


def _entry(node: yaml.Node, key: str) -> tuple[yaml.Node, yaml.Node] | None:
    if not isinstance(node, yaml.MappingNode):
        raise EditError(f"{quote(key)} would stand in what is not a section.", hint="Edit the file by hand.")
    return next((entry for entry in node.value if entry[0].value == key), None)


def _value_at(text: str, path: str) -> Any:
    value = load(text).value
    for key in path.split("."):
        value = value[key]
    return value


def _end(node: yaml.Node) -> int:
    """Where the text of a node ends (PyYAML ends block collections only at the next token)."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


# ---------------------------------------------------------------- writing


def _written(value: Scalar) -> str:
    """A value as YAML, with quotes only where they are needed."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if not value.isprintable():
        raise EditError(f"{quote(value)} has control characters.", hint="Leave them out.")
    if _PLAIN.fullmatch(value) and load(f"- {value}").value == (value,):
        return value
    return json.dumps(value, ensure_ascii=False)


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _new_line_after(text: str, end: int, line: str) -> _Splice:
    """A splice that puts `line` below the line in which position `end` is."""
    if end and text[end - 1] == "\n":
        return _Splice(end, end, line + _newline(text))
    line_end = text.find("\n", end)
    if line_end < 0:
        return _Splice(len(text), len(text), _newline(text) + line)
    return _Splice(line_end + 1, line_end + 1, line + _newline(text))


def _insertion(text: str, node: yaml.Node, keys: list[str], written: str) -> list[_Splice]:
    """Add what is missing of the path, with its value, at the end of the section that there is."""
    while (entry := _entry(node, keys[0])) is not None:
        node, keys = entry[1], keys[1:]
    if isinstance(node, yaml.MappingNode) and node.flow_style:
        nested = written
        for key in reversed(keys[1:]):
            nested = f"{{{key}: {nested}}}"
        return [_flow_addition(node, f"{keys[0]}: {nested}")]
    column = node.value[0][0].start_mark.column
    lines = [f"{' ' * (column + 2 * depth)}{key}:" for depth, key in enumerate(keys)]
    return [_new_line_after(text, _end(node), f"{_newline(text).join(lines)} {written}")]


def _flow_addition(node: yaml.CollectionNode, written: str) -> _Splice:
    if not node.value:
        start = node.start_mark.index + 1
        return _Splice(start, start, written)
    last = node.value[-1]
    end = _end(last[1] if isinstance(last, tuple) else last)
    return _Splice(end, end, f", {written}")


def _block_addition(text: str, node: yaml.SequenceNode, written: str) -> _Splice:
    last = node.value[-1]
    return _new_line_after(text, _end(last), _item_prefix(text, last) + written)


def _item_prefix(text: str, item: yaml.Node) -> str:
    """The indentation and dash before a list's item."""
    start = item.start_mark.index
    prefix = text[text.rfind("\n", 0, start) + 1 : start]
    if not _ITEM_PREFIX.fullmatch(prefix):
        raise EditError("This list is written in an unusual way.", hint="Edit the file by hand.")
    return prefix


# ---------------------------------------------------------------- removing


def _flow_removal(text: str, node: yaml.SequenceNode, index: int) -> list[_Splice]:
    """Remove an item and the comma that follows it or, for the last one, the comma before."""
    item = node.value[index]
    start, end = item.start_mark.index, _end(item)
    comma = _comma_after(text, end)
    if comma is None and index:
        comma = _comma_after(text, _end(node.value[index - 1]))
    if comma is None:
        return [_Splice(start, end, "")]
    after = comma + 1
    while text[after] == " ":
        after += 1
    return [_Splice(start, end, ""), _Splice(comma, after, "")]


def _comma_after(text: str, position: int) -> int | None:
    """Where the comma after an item is; whitespace and comments may stand before it."""
    gap = _GAP.match(text, position)
    found = gap.end() if gap else position
    return found if text[found : found + 1] == "," else None


def _block_removal(text: str, item: yaml.Node) -> _Splice:
    """Remove the item's lines."""
    start = item.start_mark.index - len(_item_prefix(text, item))
    end = _end(item)
    if text[end - 1] != "\n":
        end = text.find("\n", end) + 1 or len(text)
    return _Splice(start, end, "")


# ---------------------------------------------------------------- applying


def _apply(text: str, splices: list[_Splice], path: str, change: Callable[[Any], Any]) -> str:
    """Make the edit, and see that it did what it was to do and nothing else."""
    expected = _changed(load(text).value, path.split("."), change)
    edited = text
    for splice in sorted(splices, reverse=True):
        edited = edited[: splice.start] + splice.text + edited[splice.end :]
    result = load(edited)
    if result.faults or result.value != expected:
        raise EditError(f"{quote(path)} cannot be changed by a command here.", hint="Edit the file by hand.")
    return edited


def _changed(value: dict[str, Any], keys: list[str], change: Callable[[Any], Any]) -> dict[str, Any]:
    key, *rest = keys
    inner = value.get(key)
    return {**value, key: _changed(inner or {}, rest, change) if rest else change(inner)}

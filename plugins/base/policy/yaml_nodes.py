"""Reads YAML strictly: plain data, and for each part of it the line and column where it stands.

What makes YAML surprising is refused rather than interpreted: `yes` as a truth value, `1.0` where a
name is meant, keys given twice, anchors, merge keys, tags, several documents. All problems of a
text are found, not only the first. The work is bounded, whatever the text: depth, number of parts
and length of each. Nothing in a text is ever executed, and no object is made by its wish.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.resolver import Resolver

from plugins.base.policy.yaml_errors import syntax_problem
from plugins.base.text import printable

Path = tuple[str | int, ...]

MAX_DEPTH = 16
MAX_PARTS = 20_000
MAX_SCALAR = 4096  # characters

_TRUTH_WORDS = frozenset({"yes", "no", "on", "off", "y", "n"})
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,15})")
_FRACTION = re.compile(r"-?(0|[1-9][0-9]{0,15})\.[0-9]{1,15}")
# What people write, or see, without meaning YAML's line breaks, controls or text direction marks.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069\ufeff"
    "\ud800-\udfff\ufffe\uffff]|\r(?!\n)"
)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something stands: both 1-based, columns in characters."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """What is wrong at a place. `path` leads to the part of the document that it spoils."""

    place: Place
    message: str
    path: Path = ()


@dataclass(frozen=True, slots=True)
class Bare:
    """A word without quotes that YAML 1.1 does not read as text, nor as what it seems to say.

    It is neither a string, a number nor a truth value, so that a schema refuses it everywhere.
    """

    text: str
    kind: str  # "truth", "octal", "number", "date", "other"


@dataclass(slots=True)
class Document:
    """A text as data: dict, tuple, str, int, float, bool and `Bare`."""

    value: Any = None
    keys: dict[Path, Place] = field(default_factory=dict)  # of the key; of the `-` item's value for lists
    values: dict[Path, Place] = field(default_factory=dict)
    plain: dict[Path, str] = field(default_factory=dict)  # scalars without quotes, as written
    faults: list[Fault] = field(default_factory=list)

    def place(self, path: Path) -> Place:
        """The place of the value at `path`, or of the nearest part around it."""
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, Place(1, 1))

    def key_place(self, path: Path) -> Place:
        return self.keys.get(path) or self.place(path)


def load(text: str) -> Document:
    """Read a text. Its faults are in the result; the value is whole only when there are none."""
    document = Document(faults=list(_hidden_characters(text)))
    if document.faults:
        return document
    root = compose(text, document.faults)
    if root is None:
        if not document.faults:
            document.faults.append(Fault(Place(1, 1), "the file is empty"))
        return document
    document.value = _convert(document, root, ())
    return document


def compose(text: str, faults: list[Fault]) -> yaml.Node | None:
    """Parse a text to YAML's node tree; None when it is empty, or when a fault leaves no tree."""
    try:
        events = list(_survey(yaml.parse(text, Loader=yaml.SafeLoader), faults))
    except _Unreadable:
        return None
    except yaml.YAMLError as error:
        line, column, message = syntax_problem(error, text)
        faults.append(Fault(Place(line, column), message))
        return None
    return _Replay(events).get_single_node()


def place_of(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1)


def quote(untrusted_text: str) -> str:
    """Text of the file as it may stand in a message: one line, and not long."""
    text = printable(untrusted_text)
    return f"`{text[:59]}…`" if len(text) > 60 else f"`{text}`"


class _Unreadable(Exception):
    """What is wrong goes so deep that the rest is not looked at."""


class _Replay(Composer, Resolver):
    """Composes nodes from events that were looked through already."""

    def __init__(self, events: list[yaml.Event]) -> None:
        Composer.__init__(self)
        Resolver.__init__(self)
        self._events = events
        self._next = 0

    def check_event(self, *choices: type[yaml.Event]) -> bool:
        return self._next < len(self._events) and isinstance(self._events[self._next], choices)

    def peek_event(self) -> yaml.Event:
        return self._events[self._next]

    def get_event(self) -> yaml.Event:
        self._next += 1
        return self._events[self._next - 1]


def _hidden_characters(text: str) -> Iterator[Fault]:
    for match in _HIDDEN.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        column = match.start() - (text.rfind("\n", 0, match.start()) + 1) + 1
        name = f"U+{ord(match.group()):04X}"
        yield Fault(Place(line, column), f"the invisible character {name} must not be here; delete it")


def _survey(events: Iterator[yaml.Event], faults: list[Fault]) -> Iterator[yaml.Event]:
    """Pass events on, while looking for what is refused in any place, before anything recurses."""
    depth = documents = 0
    for parts, event in enumerate(events):
        place = place_of(event.start_mark)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.DocumentStartEvent):
            documents += 1
        fatal = _fatal(event, depth, parts, documents)
        if fatal:
            faults.append(Fault(place, fatal))
            raise _Unreadable
        faults.extend(Fault(place, message) for message in _refused(event))
        if isinstance(event, yaml.NodeEvent):
            event.anchor = None  # told already; given twice it would end the composing
        yield event


def _fatal(event: yaml.Event, depth: int, parts: int, documents: int) -> str:
    if depth > MAX_DEPTH:
        return f"nested more than {MAX_DEPTH} deep"
    if parts > MAX_PARTS:
        return f"the file has more than {MAX_PARTS} parts"
    if documents > 1:
        return "a second document starts here; a policy file is one document, so remove this `---`"
    if isinstance(event, yaml.AliasEvent):
        return f"aliases such as {quote('*' + str(event.anchor))} are not allowed; write the value out"
    if isinstance(event, yaml.ScalarEvent) and len(event.value) > MAX_SCALAR:
        return f"this text is longer than {MAX_SCALAR} characters"
    return ""


def _refused(event: yaml.Event) -> Iterator[str]:
    if not isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
        return
    if event.anchor is not None:
        yield f"anchors such as {quote('&' + str(event.anchor))} are not allowed; remove it"
    if event.tag is not None:
        yield f"tags such as {quote(str(event.tag))} are not allowed; remove it"


def _convert(document: Document, node: yaml.Node, path: Path) -> Any:
    document.values[path] = place_of(node.start_mark)
    if isinstance(node, yaml.MappingNode):
        return _convert_mapping(document, node, path)
    if isinstance(node, yaml.SequenceNode):
        return tuple(_convert(document, item, (*path, index)) for index, item in enumerate(node.value))
    assert isinstance(node, yaml.ScalarNode)  # noqa: S101 - YAML has these three kinds of nodes
    return _convert_scalar(document, node, path)


def _convert_mapping(document: Document, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        place = place_of(key_node.start_mark)
        problem = _bad_key(key_node)
        if problem:
            document.faults.append(Fault(place, problem, path))
            continue
        key = key_node.value
        inner = (*path, key)
        if key in found:
            first = document.keys[inner].line
            document.faults.append(
                Fault(place, f"{quote(key)} is given twice (first on line {first}); remove one")
            )
            continue
        document.keys[inner] = place
        found[key] = _convert(document, value_node, inner)
    return found


def _bad_key(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        return "a key must be a single word, not a list or a mapping"
    if node.tag == "tag:yaml.org,2002:merge":
        return "merge keys (`<<`) are not allowed; write the entries out"
    if node.style is None and _plain_value(node) != node.value:
        return f'the key {quote(node.value)} is not read as text by YAML; put it in quotes: "{node.value}"'
    return ""


def _convert_scalar(document: Document, node: yaml.ScalarNode, path: Path) -> Any:
    if node.style is not None:
        return node.value
    document.plain[path] = node.value
    value = _plain_value(node)
    if value is None:
        name = quote(str(path[-1])) if path and isinstance(path[-1], str) else "this entry"
        message = f"{name} has no value; write one (an empty list is []), or remove it"
        document.faults.append(Fault(document.values[path], message if path else "the file is empty", path))
    return value


def _plain_value(node: yaml.ScalarNode) -> Any:
    """The value of a scalar without quotes; `Bare` for what only YAML 1.1 reads as something else."""
    text, tag = node.value, node.tag.rpartition(":")[2]
    if text.lower() in _TRUTH_WORDS:
        return Bare(text, "truth")
    if tag == "str":
        return text
    if tag == "null":
        return None
    if tag == "bool":
        return text.lower() == "true"
    if tag == "int" and _INTEGER.fullmatch(text):
        return int(text)
    if tag == "float" and _FRACTION.fullmatch(text):
        return float(text)
    if tag == "int" and re.fullmatch("0[0-7]+", text):
        return Bare(text, "octal")
    return Bare(text, {"int": "number", "float": "number", "timestamp": "date"}.get(tag, "other"))

"""From the text of a policy file to its validated sections, or to everything that is wrong with it.

Validation is pydantic's; the places are those of the YAML nodes; the words are ours.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from plugins.base.policy.schema import DEFAULT_HOSTS, PolicyFile, file_model, rule_names
from plugins.base.policy.yaml_nodes import Bare, Document, Fault, Path, load, quote
from plugins.base.rules import ToolRules


def read_policy(
    text: str, rules_model: type[ToolRules], plugin: str | None
) -> tuple[PolicyFile | None, Document, list[Fault]]:
    """Return the file's sections (None when something is wrong), its places, and its faults."""
    document = load(text)
    if document.value is None:
        return None, document, document.faults
    if not isinstance(document.value, dict):
        fault = Fault(
            document.place(()), "a policy file is made of `key: value` lines, such as `plugin: git`"
        )
        return None, document, [*document.faults, fault]
    faults = list(document.faults)
    model = file_model(rules_model)
    found: PolicyFile | None = None
    try:
        found = model.model_validate(document.value)
    except ValidationError as error:
        faults += _faults_of(error, document, model)
    faults += _cross_checks(document, rules_model, plugin)
    return (None if faults else found), document, faults


def credential_hosts(file: PolicyFile) -> dict[str, tuple[str, ...]]:
    """For each credential, where it may be sent: as the file says, else the default."""
    return {name: file.credential_hosts.get(name, DEFAULT_HOSTS.get(name, ())) for name in file.credentials}


# ---------------------------------------------------------------- what pydantic found


def _faults_of(error: ValidationError, document: Document, model: type[BaseModel]) -> Iterator[Fault]:
    spoiled = {fault.path for fault in document.faults if fault.path}
    details = error.errors(include_url=False)
    paths = [tuple(detail["loc"]) for detail in details]
    for path, detail in zip(paths, details, strict=True):
        if any(path[: len(bad)] == bad for bad in spoiled):
            continue
        if detail["type"] == "too_short" and any(other[:-1] == path for other in paths):
            continue  # entries that are wrong do not count there
        yield _fault(detail["type"], path, detail, document, model)


def _fault(kind: str, path: Path, detail: Any, document: Document, model: type[BaseModel]) -> Fault:
    if kind == "extra_forbidden":
        return Fault(document.key_place(path), _unknown_key(path, model), path)
    if kind == "missing":
        return Fault(document.place(path[:-1]), f"{_name(path)} is missing", path)
    while path and path not in document.values:  # a union's branch is part of pydantic's location
        path = path[:-1]
    return Fault(document.place(path), f"{_name(path)} {_meaning(kind, detail, document, path)}", path)


def _unknown_key(path: Path, model: type[BaseModel]) -> str:
    key = str(path[-1])
    known = _known_keys(path[:-1], model)
    section = f" in {quote('.'.join(map(str, path[:-1])))}" if path[:-1] else ""
    return f"unknown key {quote(key)}{section}{suggestion(key, known)}"


def _known_keys(path: Path, model: type[BaseModel]) -> tuple[str, ...]:
    for part in path:
        field = model.model_fields.get(str(part))
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return ()
        model = inner
    return tuple(model.model_fields)


def suggestion(word: str, known: Iterable[str]) -> str:
    """ "; did you mean ...?" for a near miss, else the words that are known, if they are few."""
    names = list(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f"; did you mean `{near[0]}`?"
    return f"; known are: {', '.join(names)}" if 0 < len(names) <= 16 else ""


def _name(path: Path) -> str:
    names = [str(part) for part in path if isinstance(part, str)]
    prefix = "each entry of " if path and isinstance(path[-1], int) else ""
    return prefix + quote(".".join(names))


_TYPES = {
    "string_type": "text",
    "string_sub_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "tuple_type": "a list, such as [a, b]",
    "list_type": "a list, such as [a, b]",
    "set_type": "a list, such as [a, b]",
    "frozen_set_type": "a list, such as [a, b]",
    "dict_type": "a mapping of `key: value` entries",
    "model_type": "a section of `key: value` entries",
    "model_attributes_type": "a section of `key: value` entries",
}
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "less_than_equal": ("at most", "le"),
    "greater_than": ("more than", "gt"),
    "less_than": ("less than", "lt"),
}


def _meaning(kind: str, detail: Any, document: Document, path: Path) -> str:
    """What must be there instead, after the key's name."""
    context: Mapping[str, Any] = detail.get("ctx", {})
    if kind in _TYPES:
        return f"must be {_TYPES[kind]}{_how(kind, detail['input'], document.plain.get(path))}"
    if kind in _BOUNDS:
        words, key = _BOUNDS[kind]
        return f"must be {words} {context[key]:g}"
    if kind == "literal_error":
        return f"must be {context['expected']}".replace("'", "")
    if kind == "value_error":
        return str(context["error"])
    if kind in ("string_too_short", "too_short"):
        return "must not be empty"
    if kind in ("string_too_long", "too_long"):
        return f"must not be longer than {context['max_length']}"
    return f"is not valid: {detail['msg'][:1].lower()}{detail['msg'][1:]}"


def _how(kind: str, value: object, plain: str | None) -> str:
    """How to write what was probably meant."""
    if kind == "string_type" and plain is not None:
        return f'; YAML reads {quote(plain)} as something else, so put it in quotes: "{plain}"'
    if kind == "bool_type" and isinstance(value, Bare) and value.kind == "truth":
        return f", not {quote(value.text)}"
    if kind == "tuple_type" and plain is not None:
        return f", so write [{plain}]"
    if isinstance(value, Bare) and value.kind == "octal":
        return ", without leading zero"
    return ""


# ---------------------------------------------------------------- what one part says about another

_OF_COMMANDS = ("rules", "credentials", "credential_hosts", "remotes", "limits", "access")


def _cross_checks(document: Document, rules_model: type[ToolRules], plugin: str | None) -> Iterator[Fault]:
    value = document.value
    named = value.get("plugin")
    if plugin is not None and isinstance(named, str) and named != plugin:
        message = f"`plugin` must be `{plugin}`, like the file's name, not {quote(named)}"
        yield Fault(document.place(("plugin",)), message)
    yield from _credential_checks(document)
    yield from _network_checks(document, rules_model)
    if not rules_model.commands:
        yield from _only_connections(document)
    approvals = value.get("approvals")
    never = approvals.get("never") if isinstance(approvals, dict) else None
    known = rule_names(rules_model)
    for index, rule in enumerate(never if isinstance(never, tuple) else ()):
        if isinstance(rule, str) and rule not in known:
            message = f"`approvals.never` names no rule: {quote(rule)}{suggestion(rule, known)}"
            yield Fault(document.place(("approvals", "never", index)), message)


def _network_checks(document: Document, rules_model: type[ToolRules]) -> Iterator[Fault]:
    if rules_model.own_gateway and "network" in document.value:
        message = "`network` is for tools without a gateway of their own; this one's goes by `remotes` alone"
        yield Fault(document.key_place(("network",)), message)


def _only_connections(document: Document) -> Iterator[Fault]:
    """What has no commands has no use for what is said of commands."""
    for key in _OF_COMMANDS:
        if key in document.value:
            message = f"`{key}` is for tools; of the agent itself only `network` is judged"
            yield Fault(document.key_place((key,)), message)


def _credential_checks(document: Document) -> Iterator[Fault]:
    credentials, hosts = (document.value.get(key) or {} for key in ("credentials", "credential_hosts"))
    if not (isinstance(credentials, dict) and isinstance(hosts, dict)):
        return
    for name in credentials:
        if name not in hosts and name not in DEFAULT_HOSTS:
            message = f"`credential_hosts` must say where {quote(name)} may go, such as [git.example.com]"
            yield Fault(document.key_place(("credentials", name)), message)
    for name in hosts:
        if name not in credentials:
            message = f"{quote(name)} is not among the `credentials`{suggestion(name, credentials)}"
            yield Fault(document.key_place(("credential_hosts", name)), message)

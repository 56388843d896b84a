"""What goes over the API socket: requests, results, errors, notifications. Pure; used by both ends.

`{"id": 1, "method": "status", "params": {}}` is answered by `{"id": 1, "result": ...}` or
`{"id": 1, "error": {"message": "...", "hint": "...", "kind": "..."}}`; `{"topic": "status", "data": ...}`
comes unasked after `subscribe`.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from plugins.base.errors import ClaudeContainerError, ProtocolError
from plugins.base.policy import PolicyError, Problem
from plugins.base.serving.protocol import encode
from supervisor.approvals.requests import RequestError
from supervisor.policies.store import PolicyConflict
from supervisor.runtimes.runtime import NotBuilt


def plain(value: Any) -> Any:
    """Return models, and lists and tuples of them, as what JSON knows."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def result_frame(number: int, result: Any) -> bytes:
    """The answer; when it is larger than a frame can be, an error in its place."""
    try:
        return encode({"id": number, "result": plain(result)})
    except ProtocolError as error:
        return error_frame(number, error)


def error_frame(number: int, error: ClaudeContainerError) -> bytes:
    return encode({"id": number, "error": describe(error)})


def describe(error: ClaudeContainerError) -> dict[str, Any]:
    """The error as JSON; `rebuild` makes it an error again."""
    described: dict[str, Any] = {"kind": "error", "message": error.message, "hint": error.hint}
    match error:
        case PolicyError(problems=problems):
            places = [[problem.line, problem.column, problem.message, problem.file] for problem in problems]
            return {**described, "kind": "policy", "problems": places}
        case PolicyConflict(plugin=plugin, current=current, current_hash=current_hash):
            present = {"plugin": plugin, "current": current, "current_hash": current_hash}
            return {**described, "kind": "conflict", **present}
        case RequestError():
            return {**described, "kind": "request"}
        case NotBuilt():
            return {**described, "kind": "not built"}
    return described


def rebuild(described: dict[str, Any]) -> ClaudeContainerError:
    """Return the error that the other end raised."""
    message, hint = str(described.get("message", "")), str(described.get("hint", ""))
    match described:
        case {"kind": "policy", "problems": [_, *_] as places}:
            return PolicyError(tuple(Problem(*place) for place in places))
        case {"kind": "conflict", "plugin": plugin, "current": current, "current_hash": current_hash}:
            return PolicyConflict(plugin, current, current_hash)
        case {"kind": "request"}:
            return RequestError(message, hint=hint)
        case {"kind": "not built"}:
            return NotBuilt(message, hint=hint)
    return ClaudeContainerError(message, hint=hint)

"""The socket protocol, pure: frames to and from bytes, untrusted JSON to typed requests.

A frame is a 4-byte big-endian length and as many bytes of UTF-8 JSON, an object. Text carries bytes
that are not UTF-8 as surrogate escapes, U+DC80 to U+DCFF, written `\\udcXX` in JSON. Whatever does not
fit raises `ProtocolError` with one sentence; nothing here runs or decides anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from plugins.base.as_json import to_json
from plugins.base.errors import ProtocolError

MAX_FRAME: Final = 8 * 1024 * 1024
HEADER_SIZE: Final = 4


def encode(payload: Mapping[str, Any]) -> bytes:
    """Return the object as JSON bytes (without the length). Raises `ProtocolError` when it is too large."""
    data = to_json(payload)
    if len(data) > MAX_FRAME:
        raise ProtocolError(f"A message of {len(data)} bytes is larger than {MAX_FRAME} bytes.")
    return data


def header(length: int) -> bytes:
    return length.to_bytes(HEADER_SIZE, "big")


def parse_json(untrusted_data: bytes) -> dict[str, Any]:
    """Return the JSON object in the bytes. Raises `ProtocolError` for anything else.

    Nesting beyond the interpreter's recursion limit is an error of the parser like any other.
    """
    try:
        value = _from_json(untrusted_data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ProtocolError("A message is not valid JSON in UTF-8.") from error
    if not isinstance(value, dict):
        raise ProtocolError("A message must be a JSON object.")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_from_json: Final = json.JSONDecoder(parse_constant=_no_constant).decode


# ---------------------------------------------------------------- requests


@dataclass(frozen=True, slots=True)
class ExecRequest:
    """Run the tool. Text may hold surrogate escapes; `fds`: the caller's descriptors came along."""

    args: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    fds: bool
    umask: int | None


@dataclass(frozen=True, slots=True)
class SignalRequest:
    signum: int


@dataclass(frozen=True, slots=True)
class RanRequest:
    """The client's answer to a `run` frame."""

    run: int
    exit_code: int


@dataclass(frozen=True, slots=True)
class QueryRequest:
    action: str  # "health" or "capabilities"


Request = ExecRequest | SignalRequest | RanRequest | QueryRequest


def parse_request(untrusted: Mapping[str, Any]) -> Request:
    """Turn a client's object into a typed request. Raises `ProtocolError`."""
    action = untrusted.get("action")
    if action == "exec":
        return _exec(untrusted)
    if action == "signal":
        return SignalRequest(_integer(untrusted, "signum", 1, 64))
    if action == "ran":
        return RanRequest(_integer(untrusted, "run", 0, 2**31), _integer(untrusted, "exit_code", 0, 255))
    if action in ("health", "capabilities"):
        return QueryRequest(action)
    raise ProtocolError("The action must be exec, health, capabilities, signal or ran.")


def _exec(untrusted: Mapping[str, Any]) -> ExecRequest:
    stdio = untrusted.get("stdio")
    if stdio not in (None, "fds"):
        raise ProtocolError('stdio must be "fds" or absent.')
    return ExecRequest(
        args=texts(untrusted.get("args"), "args"),
        cwd=_cwd(untrusted.get("cwd")),
        env=text_map(untrusted.get("env", {}), "env"),
        fds=stdio == "fds",
        umask=None if untrusted.get("umask") is None else _integer(untrusted, "umask", 0, 0o777),
    )


def _cwd(untrusted: object) -> str:
    cwd = text(untrusted, "cwd")
    if not cwd.startswith("/"):
        raise ProtocolError("cwd must be an absolute path.")
    return cwd


def text(untrusted: object, name: str) -> str:
    """Return the value when it is text that can be bytes of a path or argument."""
    if not isinstance(untrusted, str):
        raise ProtocolError(f"{name} must be text.")
    if "\0" in untrusted:
        raise ProtocolError(f"{name} holds a NUL character.")
    if not untrusted.isascii():
        _check_surrogates(untrusted, name)
    return untrusted


def _check_surrogates(value: str, name: str) -> None:
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise ProtocolError(f"{name} holds a surrogate that stands for no byte.") from error


def texts(untrusted: object, name: str) -> tuple[str, ...]:
    if not isinstance(untrusted, list):
        raise ProtocolError(f"{name} must be a list of text.")
    return tuple(untrusted) if _plain(untrusted) else tuple(text(item, name) for item in untrusted)


def _plain(untrusted: Iterable[object]) -> bool:
    """Whether all of it is the usual kind of text. Quick; what is not is looked at one by one."""
    try:
        whole = "".join(untrusted)  # type: ignore[arg-type]  # this is what finds it out
    except TypeError:
        return False
    return whole.isascii() and "\0" not in whole


def text_map(untrusted: object, name: str) -> dict[str, str]:
    if not isinstance(untrusted, dict):
        raise ProtocolError(f"{name} must be an object of text.")
    if (
        _plain(untrusted.values())
        and _plain(untrusted)
        and "" not in untrusted
        and "=" not in "".join(untrusted)
    ):
        return untrusted
    return {_variable(key, name): text(value, name) for key, value in untrusted.items()}


def _variable(untrusted_key: str, name: str) -> str:
    key = text(untrusted_key, name)
    if not key or "=" in key:
        raise ProtocolError(f"{name} holds a name that is empty or contains '='.")
    return key


def _integer(untrusted: Mapping[str, Any], name: str, least: int, most: int) -> int:
    value = untrusted.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ProtocolError(f"{name} must be a whole number from {least} to {most}.")
    return value


# ---------------------------------------------------------------- responses


def response(
    exit_code: int,
    *,
    stdout: str = "",
    stderr: str = "",
    error: str | None = None,
    signal: int | None = None,
    truncated: bool = False,
) -> bytes:
    """Build the last frame of a conversation. `success` says that the tool ran and returned 0."""
    body: dict[str, Any] = {
        "success": exit_code == 0 and error is None,
        "exit_code": exit_code,
        "stdout": stdout,
        "stderr": stderr,
        "error": error,
    }
    if signal is not None:
        body["signal"] = signal
    if truncated:
        body["truncated"] = True
    return encode(body)


def run_frame(run: int, args: tuple[str, ...], env: Mapping[str, str], cwd: str) -> bytes:
    """Ask the client to run a program on its side; its three descriptors go along."""
    return encode({"action": "run", "run": run, "args": list(args), "env": dict(env), "cwd": cwd})

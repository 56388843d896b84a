"""The protocol's pure half: what is accepted, and that the rest gets one clear sentence."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.base.errors import ProtocolError
from plugins.base.serving import protocol

_EXEC: dict[str, Any] = {"action": "exec", "args": ["status"], "cwd": "/w", "env": {}}


def test_a_seed_request_is_understood() -> None:
    request = protocol.parse_request(_EXEC)
    assert request == protocol.ExecRequest(("status",), "/w", {}, False, None)


def test_bytes_that_are_not_utf8_survive_the_way_there_and_back() -> None:
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    data = protocol.encode({**_EXEC, "args": [name]})
    request = protocol.parse_request(protocol.parse_json(data))
    assert isinstance(request, protocol.ExecRequest)
    assert request.args[0].encode("utf-8", "surrogateescape") == b"caf\xe9"


@pytest.mark.parametrize(
    "change",
    [
        {"args": "status"},
        {"args": [1]},
        {"args": ["a\0b"]},
        {"args": ["\ud800"]},
        {"args": None},
        {"cwd": "relative"},
        {"cwd": 7},
        {"cwd": "/w\0"},
        {"env": []},
        {"env": {"A": 1}},
        {"env": {"": "x"}},
        {"env": {"A=B": "x"}},
        {"stdio": "pipe"},
        {"stdio": True},
        {"umask": -1},
        {"umask": 0o1000},
        {"umask": True},
        {"action": "run"},
        {"action": ["exec"]},
        {"action": None},
    ],
)
def test_a_wrongly_typed_request_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        protocol.parse_request({**_EXEC, **change})


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"a": NaN}', b'{"a": "\xe9"}', b"{}{}",
        b"[" * 1_000_000, b'{"a":' * 5000 + b"1" + b"}" * 5000, b"1" * 10_000,
    ],
)  # fmt: skip
def test_bytes_that_are_not_a_json_object_are_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        protocol.parse_json(data)


@given(st.binary(max_size=300))
def test_any_bytes_give_an_object_or_a_protocol_error(data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        assert isinstance(protocol.parse_json(data), dict)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
_keys = st.sampled_from(["action", "args", "cwd", "env", "stdio", "umask", "signum", "run", "exit_code"])
_actions = st.sampled_from(["exec", "signal", "ran", "health", "capabilities"])


@given(st.dictionaries(_keys, _json), _actions)
def test_any_object_gives_a_request_or_a_protocol_error(untrusted: dict[str, Any], action: str) -> None:
    try:
        protocol.parse_request({**untrusted, "action": action})
    except ProtocolError as error:
        assert error.message.endswith(".")


def test_a_response_has_the_fields_of_the_contract() -> None:
    body = json.loads(protocol.response(3, stdout="out", error="no"))
    assert body == {"success": False, "exit_code": 3, "stdout": "out", "stderr": "", "error": "no"}
    assert json.loads(protocol.response(143, signal=15))["signal"] == 15
    assert json.loads(protocol.response(0, truncated=True))["truncated"] is True


def test_a_message_that_is_too_large_is_not_sent() -> None:
    with pytest.raises(ProtocolError, match="larger"):
        protocol.encode({"x": "y" * protocol.MAX_FRAME})

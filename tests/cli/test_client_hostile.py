"""plugin-client against a plugin that has gone mad: one clear error, and never a crash.

The client is built with AddressSanitizer and UBSan; `end_of` fails on anything that they report.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cli.fake_plugin import Agent, End, FakePlugin, Peer, end_of, framed, new_agent, response

GOOD = json.dumps(response()).encode()


def _run(peer: Peer, **members: object) -> None:
    frame = {"action": "run", "run": 1, "args": ["true"], "env": {}, "cwd": "/", **members}
    peer.send({name: value for name, value in frame.items() if value is not ...}, peer.fds)


def _with_fds(count: int) -> Callable[[Peer], None]:
    return lambda peer: peer.run("true", fds=[0] * count)


def _too_many_runs(peer: Peer) -> None:
    for number in range(65):
        peer.run("sleep", "60", number=number)


RAW = {
    "nothing": b"",
    "part of a length": b"\0\0",
    "a length and no more": b"\0\0\0\7",
    "half a message": framed(GOOD)[:-1],
    "a message of 4 GiB": b"\xff\xff\xff\xff" + GOOD,
    "a message of 8 MiB and a byte": (8 * 1024 * 1024 + 1).to_bytes(4, "big") + GOOD,
    "8 MiB announced, a little sent": (8 * 1024 * 1024).to_bytes(4, "big") + GOOD,
    "8 MiB of brackets": framed(b"[" * 8 * 1024 * 1024),
    "8 MiB of a number": framed(b'{"exit_code":' + b"1" * (8 * 1024 * 1024 - 14) + b"}"),
    "an empty message": framed(b""),
    "a thousand levels": framed(b'{"a":' * 1000 + b"1" + b"}" * 1000),
    "33 levels": framed(b'{"exit_code":0,"a":' + b"[" * 32 + b"]" * 32 + b"}"),
    "another protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "not UTF-8": framed(b'{"exit_code":0,"stdout":"\xff"}'),
    "overlong UTF-8": framed(b'{"exit_code":0,"stdout":"\xc0\x80"}'),
    "a raw surrogate": framed(b'{"exit_code":0,"stdout":"\xed\xb2\x80"}'),
    "UTF-8 cut by the end": framed(b'{"exit_code":0,"stdout":"\xe2\x82'),
    "UTF-16": framed(GOOD.decode().encode("utf-16")),
    "a control character in a text": framed(b'{"exit_code":0,"stdout":"\n"}'),
    "a NUL": framed(b'{"exit_code":0}\0'),
    "two values": framed(GOOD + GOOD),
    "a comma too many": framed(b'{"exit_code":0,}'),
    "a comma too few": framed(b'{"exit_code":0 "a":1}'),
    "no colon": framed(b'{"exit_code"}'),
    "a number as a name": framed(b'{1:0,"exit_code":0}'),
    "brackets that do not match": framed(b'{"exit_code":0,"a":[1}]'),
    "NaN": framed(b'{"exit_code":0,"a":NaN}'),
    "a leading zero": framed(b'{"exit_code":00}'),
    "a bare minus": framed(b'{"exit_code":-}'),
    "a bare point": framed(b'{"exit_code":0,"a":1.}'),
    "a bare exponent": framed(b'{"exit_code":0,"a":1e+}'),
    "an unknown escape": framed(b'{"exit_code":0,"stdout":"\\x41"}'),
    "half an escape": framed(b'{"exit_code":0,"stdout":"\\u00"}'),
    "an escape cut by the end": framed(b'{"exit_code":0,"stdout":"\\u'),
    "a backslash at the end": framed(b'{"exit_code":0,"stdout":"\\'),
    "a high surrogate alone": framed(b'{"exit_code":0,"stdout":"\\ud83d"}'),
    "a surrogate of no byte": framed(b'{"exit_code":0,"stdout":"\\udc41"}'),
    "two high surrogates": framed(b'{"exit_code":0,"stdout":"\\ud83d\\ud83d"}'),
}

VALUES = [
    [], "text", 1, None, True, {}, {"exit_code": None}, {"exit_code": "0"}, {"exit_code": 256},
    {"exit_code": -1}, {"exit_code": 1.0}, {"exit_code": True}, {"exit_code": 2**64}, {"exit_code": [0]},
    {"exit\0_code": 0}, {"exit_code\0": 0}, {"exit_cod": 0},
    response(signal=0), response(signal=65), response(signal=-9), response(signal="9"), response(signal=9.5),
    response(stdout=1), response(stderr=["a"]), response(stdout={}), response(stderr=False),
]  # fmt: skip

ACTIONS: dict[str, Callable[[Peer], None]] = {
    "run without descriptors": _with_fds(0),
    "run with one": _with_fds(1),
    "run with two": _with_fds(2),
    "run with four": _with_fds(4),
    "run with 200": _with_fds(200),
    "a response with descriptors": lambda peer: peer.send(response(), peer.fds),
    "a response with 253 descriptors": lambda peer: peer.send(response(), [0] * 253),
    "run of nothing": lambda peer: _run(peer, args=[]),
    "run of an empty name": lambda peer: _run(peer, args=[""]),
    "run of a number": lambda peer: _run(peer, args=["true", 1]),
    "run of a text": lambda peer: _run(peer, args="true"),
    "run with a NUL in an argument": lambda peer: _run(peer, args=["true", "a\0b"]),
    "run with a NUL in a variable": lambda peer: _run(peer, env={"A": "a\0b"}),
    "run with a NUL in a variable's name": lambda peer: _run(peer, env={"A\0": "a"}),
    "run with an = in a variable's name": lambda peer: _run(peer, env={"A=B": "a"}),
    "run with a variable without a name": lambda peer: _run(peer, env={"": "a"}),
    "run with a number as variable": lambda peer: _run(peer, env={"A": "a", "B": 1}),
    "run with a list as environment": lambda peer: _run(peer, env=["A=a"]),
    "run with a NUL in the directory": lambda peer: _run(peer, cwd="/\0"),
    "run without a directory": lambda peer: _run(peer, cwd=...),
    "run without arguments": lambda peer: _run(peer, args=...),
    "run without an environment": lambda peer: _run(peer, env=...),
    "run without a number": lambda peer: _run(peer, run=...),
    "run with a negative number": lambda peer: _run(peer, run=-1),
    "run with a number too large": lambda peer: _run(peer, run=2**31),
    "65 programs at once": _too_many_runs,
}


def check_error(end: End) -> None:
    """One error line and one hint, and a status that no tool would have."""
    lines = end.stderr.splitlines()
    assert end.status == 125
    assert [lines[0][:17], lines[1][:6], len(lines)] == [b"error: git plugin", b"hint: ", 2]
    assert end.stdout == b""


@pytest.mark.parametrize("answer", RAW.values(), ids=list(RAW))
def test_bytes_that_are_no_answer(agent: Agent, git: FakePlugin, answer: bytes) -> None:
    process = agent.start("git")
    with git.accept() as peer:
        peer.receive()
        with suppress(BrokenPipeError, ConnectionResetError):  # it may have seen enough
            peer.send_bytes(answer) if answer else None
    check_error(end_of(process))


@pytest.mark.parametrize("value", VALUES, ids=[json.dumps(value) for value in VALUES])
def test_json_that_is_no_answer(agent: Agent, git: FakePlugin, value: object) -> None:
    process = agent.start("git")
    with git.accept() as peer:
        peer.receive()
        peer.send_bytes(framed(json.dumps(value).encode()))
    check_error(end_of(process))


@pytest.mark.parametrize("action", ACTIONS.values(), ids=list(ACTIONS))
def test_requests_that_make_no_sense(agent: Agent, git: FakePlugin, action: Callable[[Peer], None]) -> None:
    process = agent.start("git")
    with git.accept() as peer:
        peer.receive()
        action(peer)
        peer.drop_fds()  # the connection stays: the client has to find out by itself
        check_error(end_of(process))


def test_the_deepest_answer_that_is_allowed(agent: Agent, git: FakePlugin) -> None:
    process = agent.start("git")
    with git.accept() as peer:
        peer.receive()
        peer.send_bytes(framed(b' {"exit_code" : 4 , "a":' + b"[" * 31 + b"]" * 31 + b"}\n"))
    assert end_of(process).status == 4


def test_an_answer_that_comes_byte_by_byte_is_taken(agent: Agent, git: FakePlugin) -> None:
    process = agent.start("git")
    with git.accept() as peer:
        peer.receive()
        for byte in framed(json.dumps(response(11, stdout="slow")).encode()):
            peer.send_bytes(bytes([byte]))
    assert end_of(process) == End(11, b"slow", b"")


def test_a_run_frame_in_pieces_with_descriptors_on_each(agent: Agent, git: FakePlugin) -> None:
    process = agent.start("git")
    with git.accept() as peer:
        peer.receive()
        frame = framed(
            json.dumps({"action": "run", "run": 1, "args": ["true"], "env": {}, "cwd": "/"}).encode()
        )
        for fd, piece in zip(peer.fds, (frame[:1], frame[1:20], frame[20:]), strict=True):
            peer.send_bytes(piece, [fd])
        assert peer.receive()["exit_code"] == 0
        peer.send(response())
    assert end_of(process).status == 0


def test_the_largest_answer_is_printed_whole(agent: Agent, git: FakePlugin) -> None:
    process = agent.start("git")
    with git.accept() as peer:
        peer.receive()
        text = "x" * (8 * 1024 * 1024 - 100)
        peer.send(response(stdout=text))
    assert end_of(process).stdout == text.encode()


def test_closing_at_once_is_an_error(agent: Agent, git: FakePlugin) -> None:
    process = agent.start("git")
    git.accept().close()
    end = end_of(process)
    check_error(end)
    assert end.stderr.startswith(b"error: git plugin closed the connection before answering\n")


def test_closing_while_a_program_runs_is_an_error_and_ends_the_program(agent: Agent, git: FakePlugin) -> None:
    process = agent.start("git")
    with git.accept() as peer:
        peer.receive()
        source, sink = os.pipe()
        peer.run("sleep", "60", fds=(peer.fds[0], sink, sink))
        os.close(sink)
    with os.fdopen(source, "rb") as reader:
        assert reader.read() == b""
    check_error(end_of(process))


@pytest.mark.parametrize("answer", [b"", b"\0\0\0\1", framed(b"[]"), b"\xff" * 8], ids=repr)
def test_health_of_a_mad_plugin(agent: Agent, git: FakePlugin, answer: bytes) -> None:
    process = agent.start("plugin-client", "--health", str(git.path))
    with git.accept() as peer:
        peer.receive()
        peer.send_bytes(answer) if answer else None
    check_error(end_of(process))


@settings(max_examples=40)
@given(data=st.data())
def test_damaged_answers_end_in_an_error_or_an_exit_code(checked_client: Path, data: st.DataObject) -> None:
    answer = bytearray(json.dumps(response(5, stdout="a\u20ac\udcff\U0001f600", signal=None)).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        answer[data.draw(st.integers(0, len(answer) - 1))] = data.draw(st.integers(0, 255))
    agent = new_agent(checked_client)
    try:
        git = agent.plugin()
        process = agent.start("git")
        with git.accept() as peer:
            peer.receive()
            peer.send_bytes(framed(bytes(answer)))
        end = end_of(process)
        assert 0 <= end.status <= 255
        if end.status == 125:
            check_error(end)
        else:
            json.loads(answer)
    finally:
        agent.close()

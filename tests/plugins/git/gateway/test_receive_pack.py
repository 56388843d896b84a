"""The words of a push: what is understood, what is refused, and that judged and sent are the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.base.errors import ProtocolError
from plugins.base.model import RefUpdate
from plugins.git.gateway.pktline import Line, Special, parse
from plugins.git.gateway.receive_pack import (
    Advertisement,
    PushCommands,
    Refusal,
    encode_advertisement,
    encode_commands,
    parse_advertisement,
    parse_commands,
    refuse,
)

_A, _B, _ZERO = "a" * 40, "b" * 40, "0" * 40
_CAPS = "\0 report-status side-band-64k"


def _line(text: str) -> bytes:
    return text.encode()


def test_a_push_is_read() -> None:
    commands = parse_commands(
        [
            _line(f"shallow {_B}"),
            _line(f"{_A} {_B} refs/heads/x{_CAPS}\n"),
            _line(f"{_ZERO} {_A} refs/tags/y"),
        ],
        "sha1",
    )
    assert commands.updates == (RefUpdate("refs/heads/x", _A, _B), RefUpdate("refs/tags/y", _ZERO, _A))
    assert commands.shallow == (_B,)
    assert set(commands.capabilities) == {"report-status", "side-band-64k"}


@pytest.mark.parametrize(
    "line",
    [
        "", "flush",
        f"{_A} {_B}", f"{_A} {_B} ", f"{_A} {_B} main", f"{_A} {_B} HEAD", f"{_A}  {_B} refs/heads/x",
        f"{_A} {_B} refs/heads/x y", f"{_A} {_B} refs/heads/x\ty", f"{_A} {_B} refs/heads/../x",
        f"{_A} {_B} refs/heads/x.lock", f"{_A} {_B} refs/heads//x", f"{_A} {_B} refs/heads/x/",
        f"{_A} {_B} refs/heads/@{{x", f"{_A} {_B} refs/heads/x\x01", f"{_A} {_B} refs/heads/x~1",
        f"{_A} {_B} refs/heads/.x", f"{_A[:-1]} {_B} refs/heads/x", f"{_A.upper()} {_B} refs/heads/x",
        f"{'a' * 64} {'b' * 64} refs/heads/x", f"{_A} {_B} refs/heads/x\0\0", "push-cert",
        f"{_A} {_B} refs/heads/x\0 push-cert=1", f"{_A} {_B} refs/heads/x\0 object-format=sha256",
        f"{_A} {_B} refs/heads/x\0 sneaky", "shallow x",
    ],
)  # fmt: skip
def test_a_command_that_is_not_exactly_right_is_refused(line: str) -> None:
    with pytest.raises(ProtocolError):
        parse_commands([_line(line)], "sha1")


def test_names_that_are_not_utf8_are_refused() -> None:
    with pytest.raises(ProtocolError):
        parse_commands([_line(f"{_A} {_B} refs/heads/") + b"\xe9"], "sha1")


def test_a_ref_may_be_changed_once_only() -> None:
    twice = [_line(f"{_A} {_B} refs/heads/x{_CAPS}"), _line(f"{_B} {_A} refs/heads/x")]
    with pytest.raises(ProtocolError, match="twice"):
        parse_commands(twice, "sha1")


def test_capabilities_in_a_later_line_are_refused() -> None:
    late = [_line(f"{_A} {_B} refs/heads/x"), _line(f"{_B} {_A} refs/heads/y{_CAPS}")]
    with pytest.raises(ProtocolError, match="later line"):
        parse_commands(late, "sha1")


_names = st.from_regex(r"refs/(heads|tags)/[a-z0-9é/_-]{1,20}", fullmatch=True)
_ids = st.from_regex(r"[0-9a-f]{40}", fullmatch=True)


@given(st.lists(st.tuples(_ids, _ids, _names), min_size=1, max_size=5, unique_by=lambda item: item[2]))
def test_what_is_sent_on_reads_as_what_was_judged(items: list[tuple[str, str, str]]) -> None:
    try:
        commands = parse_commands([_line(f"{old} {new} {ref}") for old, new, ref in items], "sha1")
    except ProtocolError:
        return
    wire = encode_commands(commands, {"atomic": "", "agent": "x"})
    lines = [line for line in parse(wire) if isinstance(line, bytes)]
    assert lines[0].partition(b"\0")[2].split() == [b"atomic", b"agent=x"]
    again = [lines[0].partition(b"\0")[0], *lines[1:]]
    assert parse_commands(again, "sha1").updates == commands.updates


def test_an_advertisement_is_offered_again_without_what_is_not_understood() -> None:
    first = (
        f"{_A} refs/heads/main\0report-status push-cert=nonce delete-refs agent=git/9 object-format=sha1\n"
    )
    lines: list[Line] = [
        b"# service=git-receive-pack\n",
        Special.FLUSH,
        _line(first),
        _line(f"{_B} refs/tags/v1\n"),
        _line(f"{_A} refs/tags/v1^{{}}\n"),
        _line(f"{_A} .have\n"),
        Special.FLUSH,
    ]
    seen = parse_advertisement(lines)
    assert seen.refs == {"refs/heads/main": _A, "refs/tags/v1": _B}
    offered = parse_advertisement(parse(encode_advertisement(seen, "us")))
    assert offered.refs == seen.refs
    assert "push-cert" not in offered.capabilities
    assert "no-thin" in offered.capabilities


def test_an_empty_remote_is_offered_too() -> None:
    offered = encode_advertisement(Advertisement({}, {"object-format": "sha256"}), "us")
    assert b"0" * 64 + b" capabilities^{}" in offered
    assert parse_advertisement(parse(offered)).refs == {}


def test_a_refused_push_is_refused_whole_and_in_native_shape() -> None:
    updates = (RefUpdate("refs/heads/main", _A, _B), RefUpdate("refs/heads/ok", _A, _B))
    commands = PushCommands(updates, {"report-status": "", "side-band-64k": ""})
    lines = parse(refuse(commands, Refusal({"refs/heads/main": "protected\nbranch"}, ("try another",))))
    assert lines[0] == b"\x02try another\n"
    report = b"".join(line[1:] for line in lines[1:] if isinstance(line, bytes))
    assert parse(report) == [
        b"unpack ok\n", b"ng refs/heads/main protected branch\n",
        b"ng refs/heads/ok refused with the rest of this push\n", Special.FLUSH,
    ]  # fmt: skip

"""Which hosts an entry of `network.allow` is for, and what is no host at all."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.base.policy import PolicyError, parse_policy
from plugins.base.policy.hosts import parse_allowed, parse_target
from plugins.git.rules import GitRules

ODD = [
    "", "a", "a:", "a:0", "a:65536", "a:+1", "a:1_0", "a:0x50", "a:00443", "a:443:443", ":443", "a.:443",
    ".a:443",
    "a..b:443", "-a:443", "a-:443", "a b:443", "a/b:443", "u@a:443", "a\n:443", "a\0:443", "*.a.b:443",
    "127.1:443",
    "0x7f.1:443", "2130706433:443", "0177.0.0.1:443", "1.2.3.4.5:443", "1.2.3.256:443", "a.1:443", "::1:443",
    "[::1]", "[::1:443", "[::1%lo]:443", "[1.2.3.4]:443", "[]:443", "bücher.de:443", "\u017f.de:443",
    f"{'a' * 64}.de:443", f"{'a.' * 127}de:443",
]  # fmt: skip


@pytest.mark.parametrize("text", ODD)
def test_what_can_be_read_in_two_ways_is_no_target(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        parse_target(text)


@pytest.mark.parametrize(
    ("entry", "target", "allowed"),
    [
        ("registry.npmjs.org", "registry.npmjs.org:443", True),
        ("registry.npmjs.org", "REGISTRY.npmjs.ORG:443", True),
        ("registry.npmjs.org", "registry.npmjs.org:80", False),
        ("registry.npmjs.org", "x.registry.npmjs.org:443", False),
        ("registry.npmjs.org", "xregistry.npmjs.org:443", False),
        ("registry.npmjs.org:8443", "registry.npmjs.org:8443", True),
        ("registry.npmjs.org:8443", "registry.npmjs.org:443", False),
        ("*.example.com", "a.example.com:443", True),
        ("*.example.com", "a.b.example.com:443", True),
        ("*.example.com", "example.com:443", False),
        ("*.example.com", "aexample.com:443", False),
        ("*.example.com", "a.example.com.evil.org:443", False),
        ("127.0.0.1:80", "127.0.0.1:80", True),
        ("127.0.0.1:80", "127.0.0.2:80", False),
        ("localhost:4873", "localhost:4873", True),
        ("localhost:4873", "127.0.0.1:4873", False),
        ("[::1]:80", "[0:0::1]:80", True),
        ("[::1]:80", "[::ffff:127.0.0.1]:80", False),
    ],
)
def test_an_entry_is_for_just_its_hosts(entry: str, target: str, allowed: bool) -> None:
    assert parse_allowed(entry).matches(parse_target(target)) is allowed


@given(st.text(max_size=40))
def test_whatever_is_a_target_has_one_spelling(text: str) -> None:
    try:
        target = parse_target(text)
    except ValueError:
        return
    assert parse_target(str(target)) == target
    assert parse_allowed(target.entry).target == target
    assert parse_allowed(target.entry).matches(target)


@given(st.ip_addresses(), st.integers(1, 65535))
def test_an_address_is_one_in_any_spelling(address: ipaddress.IPv4Address, port: int) -> None:
    host = address.exploded if address.version == 4 else f"[{address.exploded}]"
    assert parse_target(f"{host}:{port}").address == address


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ('"*"', "there is no entry for every host"),
        ('"*.com"', "at least a domain"),
        ('"a*.com"', "only as the first label"),
        ("https://registry.npmjs.org/x", "not a URL; write registry.npmjs.org"),
        ("Registry.npmjs.org", "must be in lower case; write registry.npmjs.org"),
        ("registry.npmjs.org.", "must not end with a dot"),
        ("bücher.de", "must be in ASCII; write xn--bcher-kva.de"),
        ("a:99999", "from 1 to 65535"),
        ('"::1"', "stands in brackets"),
        ("0x7f.1", "whole address"),
    ],
)
def test_a_wrong_entry_is_told_with_its_place(entry: str, said: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policy(
            f"plugin: npm\nversion: 1\nnetwork:\n  allow: [a.b, {entry}]\nrules: {{}}\n", plugin="npm"
        )
    problem = caught.value.problems[0]
    assert (problem.line, problem.column) == (4, 16)
    assert said in problem.message


def test_a_plugin_with_a_gateway_of_its_own_has_no_network_section() -> None:
    text = "plugin: git\nversion: 1\nnetwork: {allow: [a.b]}\nrules: {}\n"
    with pytest.raises(PolicyError, match=r"git\.yaml:3:1: `network` is for tools without a gateway"):
        parse_policy(text, rules_model=GitRules, plugin="git")

"""Which addresses reach this machine itself, or the tool's own network."""

from __future__ import annotations

from plugins.base.egress.lookup import addresses_of, own_of
from plugins.base.policy.hosts import parse_target


def test_its_own_addresses_and_the_network_of_its_tool_are_known() -> None:
    others = ("198.51.100.7", "2001:db8::1", "10.213.0.8")
    ours = ("127.0.0.1", "10.213.0.1", "10.213.0.3")
    assert own_of((*others, *ours), "10.213.0.2") == ours


async def test_what_is_written_out_is_not_looked_up() -> None:
    assert await addresses_of(parse_target("localhost:80")) == ("127.0.0.1", "::1")
    assert await addresses_of(parse_target("[::1]:80")) == ("::1",)

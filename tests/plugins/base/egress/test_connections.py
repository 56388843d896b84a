"""What `network.allow` makes of a connection: by its name, and by what the name stands for."""

from __future__ import annotations

import pytest

from plugins.base.egress.addresses import Whose, whose
from plugins.base.egress.connections import connection
from plugins.base.model import Layer, Operation
from plugins.base.plugin import Plugin
from plugins.base.policy import Policy, parse_policy
from plugins.base.policy.edit import EditError
from plugins.base.policy.standing import standing_policy
from plugins.git.plugin import GitPlugin

TEXT = """\
plugin: npm
version: 1
network:
  allow: [a.example, "*.wild.example", localhost:80, 10.0.0.1, 127.0.0.1:81]  # kept
rules: {}
"""


def policy(text: str = TEXT) -> Policy:
    return parse_policy(text, file="npm.yaml", plugin="npm")


@pytest.mark.parametrize(
    ("host", "addresses", "own", "allowed", "approvable"),
    [
        ("a.example:443", ("8.8.8.8", "2606:4700::1"), (), True, False),
        ("a.example:443", ("10.1.2.3",), (), True, False),  # named itself
        ("b.wild.example:443", ("8.8.8.8",), (), True, False),
        ("b.wild.example:443", ("8.8.8.8", "10.1.2.3"), (), False, True),
        ("a.example:443", ("127.0.0.1",), (), False, False),
        ("a.example:443", ("8.8.8.8", "169.254.169.254"), (), False, False),
        ("a.example:443", ("::ffff:127.0.0.1",), (), False, False),
        ("a.example:443", ("192.168.1.5",), ("192.168.1.5",), False, False),
        ("localhost:80", ("127.0.0.1", "::1"), ("127.0.0.1", "::1"), True, False),
        ("127.0.0.1:81", ("127.0.0.1",), ("127.0.0.1",), True, False),
        ("10.0.0.1:443", ("10.0.0.1",), (), True, False),
        ("c.example:443", (), (), False, True),
        ("c.example:443", ("10.0.0.9",), (), False, True),
        ("c.example:443", ("127.0.0.1",), (), False, False),
        ("localhost:81", (), (), False, False),  # what is written out only the file can name
        ("169.254.169.254:80", (), (), False, False),
    ],
)
def test_table(
    host: str, addresses: tuple[str, ...], own: tuple[str, ...], allowed: bool, approvable: bool
) -> None:
    decision = Plugin.decide(policy(), connection("npm", host, addresses, own))
    assert (decision.allowed, decision.approvable) == (allowed, approvable), decision
    assert all((reason.rule, reason.line) == ("network.allow", 4) for reason in decision.reasons)


@pytest.mark.parametrize(
    ("address", "owner"),
    [
        ("1.1.1.1", Whose.PUBLIC), ("2606:4700::1", Whose.PUBLIC), ("64:ff9b::101:101", Whose.PUBLIC),
        ("10.0.0.1", Whose.PRIVATE), ("172.16.0.1", Whose.PRIVATE), ("100.64.0.1", Whose.PRIVATE),
        ("fd00:ec2::254", Whose.PRIVATE), ("64:ff9b::a00:1", Whose.PRIVATE), ("2002:a00:1::", Whose.PRIVATE),
        ("127.9.9.9", Whose.LOCAL), ("0.1.2.3", Whose.PRIVATE), ("169.254.169.254", Whose.LOCAL),
        ("168.63.129.16", Whose.LOCAL), ("224.0.0.1", Whose.LOCAL), ("255.255.255.255", Whose.LOCAL),
        ("::", Whose.LOCAL), ("::1", Whose.LOCAL), ("fe80::1", Whose.LOCAL), ("ff02::1", Whose.LOCAL),
        ("::ffff:169.254.169.254", Whose.LOCAL), ("64:ff9b::7f00:1", Whose.LOCAL),
        ("2002:7f00:1::", Whose.LOCAL),
    ],
)  # fmt: skip
def test_whose_an_address_is(address: str, owner: Whose) -> None:
    assert whose(address) is owner


def test_always_adds_the_host_and_changes_nothing_else() -> None:
    text = standing_policy(Plugin, policy(), connection("npm", "c.example:443"))
    assert text == TEXT.replace("127.0.0.1:81]", "127.0.0.1:81, c.example]")
    recorded = Operation("npm", Layer.WIRE, ("connect", "c.example:8443"), "")
    assert Plugin.decide(policy(standing_policy(Plugin, policy(), recorded)), recorded).allowed


@pytest.mark.parametrize("host", ["127.0.0.1:22", "localhost:22", "nonsense"])
def test_what_nobody_can_approve_has_no_always(host: str) -> None:
    with pytest.raises(EditError):
        standing_policy(Plugin, policy(), connection("npm", host))


def test_a_plugin_with_a_gateway_of_its_own_judges_for_itself() -> None:
    ours = parse_policy("plugin: git\nversion: 1\nrules: {}\n", rules_model=GitPlugin.rules_model)
    assert all(
        r.rule != "network.allow" for r in GitPlugin.decide(ours, connection("git", "a.b:443")).reasons
    )


@pytest.mark.parametrize(("never", "on_block"), [("[network.allow]", "hold"), ("[]", "refuse")])
def test_the_operator_is_asked_only_where_the_policy_says_so(never: str, on_block: str) -> None:
    text = f"{TEXT}approvals: {{never: {never}, on_block: {on_block}}}\n"
    assert not Plugin.decide(policy(text), connection("npm", "c.example:443")).approvable

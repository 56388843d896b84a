"""The agent's own policy: where it connects to, and nothing about commands."""

from __future__ import annotations

import pytest

from plugins.base.egress.connections import connection
from plugins.base.policy import Policy, PolicyError, parse_policy
from plugins.base.registry import plugin_class

START = "plugin: claude\nversion: 1\n"
KIND = plugin_class("claude")


def policy(more: str) -> Policy:
    return parse_policy(START + more, plugin="claude", rules_model=KIND.rules_model)


def test_it_needs_no_rules() -> None:
    assert policy("").network.allow == ()


@pytest.mark.parametrize(
    "section",
    [
        "rules: {}",
        "rules: {blocked_subcommands: [x]}",
        "credentials: {GITHUB_TOKEN: '${GITHUB_TOKEN}'}",
        "remotes: {push: [origin]}",
        "limits: {timeout_seconds: 1}",
        "access: {allowed_uids: [1]}",
    ],
)
def test_what_is_said_of_commands_is_a_mistake_there(section: str) -> None:
    with pytest.raises(PolicyError) as caught:
        policy(section)
    key = section.partition(":")[0]
    said = [problem.message for problem in caught.value.problems]
    assert f"`{key}` is for tools; of the agent itself only `network` is judged" in said
    assert caught.value.problems[0].line == 3


def test_a_connection_is_judged_by_it() -> None:
    allowed = policy("network: {allow: [api.anthropic.com]}")
    assert KIND.decide(allowed, connection("claude", "api.anthropic.com:443")).allowed
    refused = KIND.decide(allowed, connection("claude", "elsewhere.example:443"))
    assert refused.approvable
    assert refused.reasons[0].rule == "network.allow"

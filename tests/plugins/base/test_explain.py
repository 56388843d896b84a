"""An explanation says the verdict, each rule with its line, and who may say yes."""

from __future__ import annotations

from plugins.base.explain import explain
from plugins.base.model import ALLOW, Decision, Layer, Operation, RefUpdate
from plugins.base.policy import parse_policy

TEXT = """\
plugin: npm
version: 1
rules:
  blocked_subcommands: [publish]  # never
approvals: {never: []}
"""
A, B, NONE = "a" * 40, "b" * 40, "0" * 40


def operation(*argv: str, remote: str = "", updates: tuple[RefUpdate, ...] = ()) -> Operation:
    return Operation("npm", Layer.ARGV, argv, "/workspace", remote, updates)


def test_an_allowed_operation_is_one_line() -> None:
    assert explain(parse_policy(TEXT), operation("test"), ALLOW) == ["ALLOWED  npm test"]


def test_a_blocked_one_has_the_rule_with_its_line_and_the_way_forward() -> None:
    policy = parse_policy(TEXT)
    decision = Decision((policy.reason("blocked_subcommands", "`npm publish` is blocked.", "Ask."),))
    assert explain(policy, operation("publish"), decision) == [
        "BLOCKED  npm publish",
        "  blocked_subcommands: `npm publish` is blocked.",
        "    npm.yaml:4: blocked_subcommands: [publish]  # never",
        "    hint: Ask.",
        "  An operator can approve it; the command waits up to 120 s.",
    ]


def test_a_rule_that_applies_by_default_is_said_to_do_so() -> None:
    policy = parse_policy(TEXT)
    decision = Decision((policy.reason("remotes.push", "No."),))
    assert "    (by default; the policy file does not mention it)" in explain(policy, operation(), decision)


def test_it_says_when_no_one_can_approve_and_which_rules_are_in_the_way() -> None:
    policy = parse_policy(TEXT.replace("never: []", "never: [blocked_subcommands]"))
    blocked = policy.reason("blocked_subcommands", "No.")
    other = policy.reason("remotes.push", "No.")
    lines = explain(policy, operation("x"), Decision((blocked, other, blocked)))
    assert lines[-1] == "  No one can approve past blocked_subcommands."


def test_it_says_when_nobody_is_asked() -> None:
    policy = parse_policy(TEXT.replace("never: []", "on_block: refuse"))
    lines = explain(policy, operation("x"), Decision((policy.reason("blocked_subcommands", "No."),)))
    assert lines[-1] == "  No one is asked: `approvals.on_block` is `refuse`."


def test_what_a_push_would_do_is_told() -> None:
    updates = (
        RefUpdate("refs/heads/new", NONE, A),
        RefUpdate("refs/heads/gone", A, NONE),
        RefUpdate("refs/heads/on", A, B, fast_forward=True),
        RefUpdate("refs/heads/lost", A, B, fast_forward=False),
        RefUpdate("refs/heads/who-knows", A, B),
    )
    lines = explain(parse_policy(TEXT), operation("x", remote="https://host/x", updates=updates), ALLOW)
    assert lines[1:] == [
        "  remote: https://host/x",
        "  create: refs/heads/new",
        "  delete: refs/heads/gone",
        "  update: refs/heads/on",
        "  rewrite: refs/heads/lost",
        "  update, perhaps a rewrite: refs/heads/who-knows",
    ]


def test_what_the_agent_typed_cannot_write_to_the_terminal() -> None:
    (line,) = explain(parse_policy(TEXT), operation("\x1b[2J\n\udcff\u202e"), ALLOW)
    assert line.isprintable()

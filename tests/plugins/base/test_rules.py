"""Subcommand rules block what they name in every spelling, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.base.model import Layer, Operation
from plugins.base.policy import parse_policy
from plugins.base.rules import all_allowed, judge_subcommands, matches


def reasons(rules: str, command: str) -> list[str]:
    policy = parse_policy(f"plugin: npm\nversion: 1\nrules: {{{rules}}}\n", file="npm.yaml")
    operation = Operation("npm", Layer.ARGV, tuple(command.split()), "/workspace")
    return [reason.rule for reason in judge_subcommands(policy, operation)]


@pytest.mark.parametrize(
    ("pattern", "command"),
    [
        ("publish", "publish"),
        ("publish", "publish --tag next"),
        ("publish", "--silent publish"),
        ("publish", "--loglevel silly publish"),
        ("publish", "--loglevel=silly publish"),
        ("publish", "--loglevel silly --registry http://x publish ."),
        ("publish", "-s publish"),
        ("publish", "-- publish"),
        ("config --global", "config --global user.name x"),
        ("config --global", "config user.name x --global"),
        ("config --global", "config --global=true"),
        ("config --global", "config --glob user.name x"),
        ("config --global", "config -global"),
        ("config --global", "-C /x config --add --global a b"),
        ("remote set-url", "remote set-url origin x"),
        ("remote set-url", "-C dir remote -v set-url origin x"),
        ("clean -f", "clean -fdx"),
        ("clean -f", "clean -xdf"),
        ("clean -f", "clean -d -f"),
        ("--eval", "--eval=code"),
        ("--eval", "x --eval code"),
        ("  remote   remove ", "remote remove x"),
    ],
)
def test_a_pattern_blocks_every_spelling_of_what_it_names(pattern: str, command: str) -> None:
    assert matches(pattern, command.split())
    assert reasons(f'blocked_subcommands: ["{pattern}"]', command) == ["blocked_subcommands"]


@pytest.mark.parametrize(
    ("pattern", "command"),
    [
        ("publish", ""),
        ("publish", "run publish-docs"),
        ("publish", "run publish"),
        ("publish", "publish-docs"),
        ("publish", "unpublish"),
        ("publish", "install publish"),
        ("publish", "install --save-dev publish"),
        ("publish", "--publish install"),
        ("publish", "run x -- publish"),
        ("config --global", "config user.name x"),
        ("config --global", "config --get user.name"),
        ("config --global", "config --list"),
        ("config --global", "log --glob=x"),
        ("config --global", "config -- x"),
        ("remote set-url", "remote -v"),
        ("remote set-url", "remote add set-url x"),
        ("remote set-url", "set-url remote"),
        ("clean -f", "clean -n -d"),
        ("clean -f", "clean --dry-run"),
        ("clean -f", "clean fdx"),
    ],
)
def test_a_pattern_does_not_block_what_only_looks_like_it(pattern: str, command: str) -> None:
    assert not matches(pattern, command.split())
    assert reasons(f'blocked_subcommands: ["{pattern}"]', command) == []


@pytest.mark.parametrize(
    "command",
    ["install", "install x --save", "i", "--silent --quiet", "config get registry", "config --json=1 get x",
     "ls --all", "--version", "-h", "--loglevel=silly install"],
)  # fmt: skip
def test_an_allow_list_lets_through_what_it_names(command: str) -> None:
    allowed = ("install", "i", "config get", "--silent --quiet", "ls --all")
    assert all_allowed(allowed, command.split())


@pytest.mark.parametrize(
    "command",
    ["", "publish", "--loglevel install publish", "--eval=code", "--silent", "config set x y", "config",
     "config --x get set y", "config --json get x", "ls", "ls --al", "ls -- --all", "--all",
     "--silent --quiet publish", "installer", "-- publish", "-", "--version publish", "--version --eval=x"],
)  # fmt: skip
def test_an_allow_list_refuses_whatever_can_be_read_otherwise(command: str) -> None:
    allowed = ("install", "i", "config get", "--silent --quiet", "ls --all")
    assert not all_allowed(allowed, command.split())
    assert reasons("allowed_subcommands: [install, i, config get, --silent --quiet, ls --all]", command) == [
        "allowed_subcommands"
    ]


def test_an_empty_allow_list_lets_nothing_through() -> None:
    assert reasons("allowed_subcommands: []", "install") == ["allowed_subcommands"]


def test_all_reasons_are_given_with_their_lines() -> None:
    text = "plugin: npm\nversion: 1\nrules:\n  blocked_subcommands: [a, b]\n  allowed_subcommands: [c]\n"
    operation = Operation("npm", Layer.ARGV, ("--x", "a", "b"), "/")
    found = judge_subcommands(parse_policy(text), operation)
    assert [(reason.rule, reason.line) for reason in found] == [
        ("blocked_subcommands", 4),
        ("blocked_subcommands", 4),
        ("allowed_subcommands", 5),
    ]
    assert found[0].message == "`npm a` is blocked."


option = st.sampled_from(["-v", "--quiet", "--registry=http://x", "-C.", "--x=publish"])
word = st.sampled_from(["install", "run", "publish", "x", "-"])


@given(before=st.lists(option), after=st.lists(option | word))
def test_options_before_a_blocked_subcommand_never_hide_it(before: list[str], after: list[str]) -> None:
    assert matches("publish", [*before, "publish", *after])


@given(before=st.lists(st.tuples(st.sampled_from(["--a", "-b"]), word)), after=st.lists(option | word))
def test_options_with_values_never_hide_it_either(before: list[tuple[str, str]], after: list[str]) -> None:
    argv = [part for pair in before for part in pair]
    assert matches("publish", [*argv, "publish", *after])
    assert not all_allowed(("install", "run", "x", "-"), [*argv, "publish", *after])


@given(first=st.sampled_from(["install", "run", "x"]), rest=st.lists(option | word))
def test_what_comes_after_another_subcommand_is_not_blocked(first: str, rest: list[str]) -> None:
    assert not matches("publish", [first, *rest])
    assert all_allowed((first,), [first, *rest])


@given(
    st.lists(st.text(max_size=5), max_size=6),
    st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1),
)
def test_what_an_allow_list_lets_through_it_also_names(argv: list[str], pattern: str) -> None:
    if all_allowed((pattern,), argv) and not set(argv) <= {"--version", "--help", "-h", "-V"}:
        assert matches(pattern, argv)

"""Command lines, read as git reads them."""

from __future__ import annotations

import re
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.git.commandline import GitCommand, options, parse

READ = [
    # line, options that are on, words
    ("push -fu origin x", {"force", "set-upstream"}, ("origin", "x")),
    ("push -uf origin", {"set-upstream", "force"}, ("origin",)),
    ("push origin x -f", {"force"}, ("origin", "x")),
    ("push origin -- -f", set(), ("origin", "-f")),
    ("push --end-of-options -f", set(), ("-f",)),
    ("push -f --no-force", set(), ()),
    ("push --no-force -f", {"force"}, ()),
    ("push --no-fo", None, ()),
    ("push --force-w", {"force-with-lease"}, ()),
    ("push --force-with-lease=a:b x", {"force-with-lease"}, ("x",)),
    ("push --force-with-lease a", {"force-with-lease"}, ("a",)),
    ("push -oci.skip x", {"push-option"}, ("x",)),
    ("push -o --force x", {"push-option"}, ("x",)),
    ("push -vo --force x", {"verbose", "push-option"}, ("x",)),
    ("push --push-option=--force x", {"push-option"}, ("x",)),
    ("push --rep --force x", {"repo"}, ("x",)),
    ("push --signed yes", {"signed"}, ("yes",)),
    ("push --forc", None, ()),
    ("push --unknown", None, ()),
    ("push -x", None, ()),
    ("push -o", None, ()),
    ("push --repo", None, ()),
    ("push --no-verify x", set(), ("x",)),
    ("push --no-verify --verify x", {"verify"}, ("x",)),
    ("push -", set(), ("-",)),
    ("commit -am -f", {"all", "message"}, ()),
    ("commit -anm x -- y", {"all", "message"}, ("y",)),
    ("commit -Sabc -m x", {"gpg-sign", "message"}, ()),
    ("config --glob user.name x", {"global"}, ("user.name", "x")),
    ("config user.name --global", set(), ("user.name", "--global")),
    ("config set --global user.name x", {"global"}, ("set", "user.name", "x")),
    ("config --get --null --glob", {"get", "null", "global"}, ()),
    ("log --whatever -xyz HEAD", set(), ("HEAD",)),
]


@pytest.mark.parametrize(("line", "on", "words"), READ, ids=[line for line, _, _ in READ])
def test_options_and_words_are_told_apart(line: str, on: set[str] | None, words: tuple[str, ...]) -> None:
    command = parse(line.split())
    if on is None:
        assert command.problem
    else:
        assert command.problem == ""
        assert {option.name for option in command.options if command.on(option.name)} == on
        assert command.words == words


@pytest.mark.parametrize(
    ("line", "name", "words"),
    [
        ("-C a -C b status", "status", ("-C", "a", "-C", "b")),
        ("-c a.b=c push", "push", ("-c", "a.b=c")),
        ("--git-dir x --work-tree=y push", "push", ("--git-dir", "x", "--work-tree=y")),
        ("--config-env=a.b=C push", "push", ("--config-env=a.b=C",)),
        ("--bare --no-pager push", "push", ("--bare", "--no-pager")),
        ("--exec-path=/x push", "push", ("--exec-path=/x",)),
        ("--exec-path push", "", ("--exec-path",)),
        ("--version", "version", ()),
        ("--help", "help", ()),
        ("push --help", "help", ()),
        ("-C", "", ()),
        ("-cx.y=z push", "", ()),
        ("-- push", "", ()),
    ],
)
def test_gits_own_options_come_first(line: str, name: str, words: tuple[str, ...]) -> None:
    command = parse(line.split())
    assert command.name == name
    if not command.problem:
        assert command.globals.words == words


@pytest.mark.parametrize(
    ("line", "action", "words"),
    [
        ("remote rm x", "remove", ("x",)),
        ("remote -v update --prune", "update", ()),
        ("remote set-url --push origin x", "set-url", ("origin", "x")),
        ("remote add -f -t main up url", "add", ("up", "url")),
        ("remote", "", ()),
        ("submodule update --init --recursive a", "update", ("a",)),
    ],
)
def test_actions_are_read_apart_from_words(line: str, action: str, words: tuple[str, ...]) -> None:
    command = parse(line.split())
    assert (command.action, command.words, command.problem) == (action, words, "")


@pytest.mark.parametrize(
    ("line", "rest"),
    [
        ("commit -anm x", "-am x"),
        ("commit -n", ""),
        ("commit --no-verify --no-veri -m --no-verify", "-m --no-verify"),
        ("push --no-verify origin -- --no-verify", "origin -- --no-verify"),
        ("commit -m-n -", "-m-n -"),
    ],
)
def test_no_verify_is_taken_out_and_nothing_else(line: str, rest: str) -> None:
    assert parse(line.split()).without("verify") == tuple(rest.split())


WORDS = st.one_of(
    st.sampled_from(
        sorted(
            options.words(
                "push fetch config remote set-url commit -f -fu --force --forc -n -m --no-verify -- - : +x "
                ":x --repo --repo= -C -c --git-dir= tag HEAD "
                "refs/heads/* --global alias.x=push \0 \udcff -é --é"
            )
        )
    ),
    st.text(max_size=8),
)


@given(st.lists(WORDS, max_size=8))
def test_any_input_is_read_without_failing_and_reading_again_gives_the_same(argv: list[str]) -> None:
    command = parse(argv)
    if not command.problem and command.name not in ("help", "version"):
        assert parse(command.argv) == command
        for option in command.options:
            assert 0 <= option.index < len(command.arguments)


@given(st.lists(WORDS, max_size=8))
def test_what_is_left_without_no_verify_has_none(arguments: list[str]) -> None:
    command = parse(["commit", *arguments])
    again = parse(["commit", *command.without("verify")])
    if not command.problem and command.name == "commit":
        assert again.given("verify") is None
        assert again.words == command.words


@pytest.mark.parametrize("name", sorted(set(options.SYNTAX) - {"submodule"}))
def test_the_table_knows_every_option_that_this_git_has(name: str) -> None:
    usage = subprocess.run(["git", name, "-h"], capture_output=True, text=True, check=False)
    syntax = options.SYNTAX[name]
    for line in (usage.stdout + usage.stderr).splitlines():
        shown = re.match(r" +(?:-(\w), )?--(\[no-\])?([a-z0-9][a-z0-9-]*)(\[=| [<(]|=| *$|  )?", line)
        if shown:
            letter, _, long, after = shown.groups()
            assert long in syntax.long or f"no-{long}" in syntax.long, f"{name}: --{long}"
            assert letter is None or letter in syntax.short, f"{name}: -{letter}"
            takes = {"[=": "=?", " <": "=", " (": "=", "=": "="}.get(after or "", "")
            if takes:  # some values are shown in other ways
                assert syntax.long[long].takes.value == takes, f"{name}: --{long} takes {takes!r}"


def test_an_empty_command_line_is_a_command_without_a_name() -> None:
    assert parse(()) == GitCommand()

"""Aliases are what they stand for."""

from __future__ import annotations

import pytest

from plugins.git.commandline.shellscan import UNKNOWN, scan
from tests.plugins.git.box import Box

BLOCKED = {
    "push": {"blocked_branches"},
    "push --force": {"blocked_branches", "allow_force_push"},
    "config --global": {"blocked_subcommands"},
    "remote set-url": {"blocked_subcommands"},
    "send-pack": {"internal"},
    "'push' \"origin\" main": {"blocked_branches"},
    "!git push": {"blocked_branches"},
    "!true && git push origin main || echo no": {"blocked_branches"},
    "!f() { git push origin HEAD:main; }; f": {"blocked_branches"},
    "!sh -c 'git push --force origin claude/x'": {"allow_force_push"},
    "!git -c a.b=c push --mirror": {"allow_force_push", "allow_delete_remote"},
    "!env A=b nice -n 5 git push": {"blocked_branches"},
    "!x=$(git push origin main)": {"blocked_branches"},
    "!git-send-pack origin main": {"internal"},
    '!eval "git pu""sh push"': {"internal"},
    "!g=git; $g push": {"internal"},
    "loop": {"internal"},
    "one": {"internal"},
    "-c a.b=c push": {"internal"},
    "'unclosed": {"internal"},
    "": {"internal"},
}

ALLOWED = [
    "status", "push origin claude/x", "!git push origin claude/x",
    "!git push -u origin $(git branch --show-current)",
    "!f() { git push -u origin \"$1\"; }; f", "!git log | head", "!echo $HOME", "!gitk --all",
    "log --format='%h %s'",
    "!git config user.name", "!./scripts/release.sh",
]  # fmt: skip


@pytest.mark.parametrize(("value", "rules"), BLOCKED.items(), ids=list(BLOCKED))
async def test_an_alias_is_refused_for_what_it_hides(plain_box: Box, value: str, rules: set[str]) -> None:
    plain_box.git("config", "alias.loop", "pool")
    plain_box.git("config", "alias.pool", "loop")
    plain_box.git("config", "alias.one", "!git one")
    plain_box.git("config", "alias.Ship", value)
    assert (await plain_box.judge("ship")).rules == rules
    assert (await plain_box.judge("-c", f"alias.x={value}", "x")).rules == rules


@pytest.mark.parametrize("value", ALLOWED)
async def test_an_honest_alias_works(plain_box: Box, value: str) -> None:
    plain_box.git("config", "alias.ship", value)
    assert not (await plain_box.judge("ship")).decision.reasons


async def test_an_alias_is_found_wherever_git_looks(plain_box: Box) -> None:
    included = plain_box.project / "more.inc"
    included.write_text("[alias]\n\tfrom-include = push\n")
    plain_box.git("config", "include.path", "../more.inc")
    assert (await plain_box.judge("from-include")).rules == {"blocked_branches"}
    environment = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "alias.e", "GIT_CONFIG_VALUE_0": "push"}
    assert (await plain_box.judge("e", environment=environment)).rules == {"blocked_branches"}
    sub = plain_box.project / "sub"
    sub.mkdir()
    assert (await plain_box.judge("from-include", cwd=sub)).rules == {"blocked_branches"}


async def test_what_is_passed_to_an_alias_counts(plain_box: Box) -> None:
    plain_box.git("config", "alias.p", "push origin")
    plain_box.git("config", "alias.s", "!git push origin")
    for alias in ("p", "s"):
        assert not (await plain_box.judge(alias, "main:claude/x")).rules
        assert (await plain_box.judge(alias, "main")).rules == {"blocked_branches"}
        assert (await plain_box.judge(alias, "--force", "main:claude/x")).rules == {"allow_force_push"}


async def test_options_passed_into_a_function_count(plain_box: Box) -> None:
    plain_box.git("config", "alias.f", '!f() { git push origin "$@"; }; f')
    assert not (await plain_box.judge("f", "main:claude/x")).rules
    assert (await plain_box.judge("f", "--mir")).rules == {"allow_force_push", "allow_delete_remote"}
    assert (await plain_box.judge("f", "-f", "main:claude/x")).rules == {"allow_force_push"}


async def test_no_alias_stands_in_for_a_subcommand_of_git(plain_box: Box) -> None:
    plain_box.git("config", "alias.status", "push --force")
    assert not (await plain_box.judge("status")).rules


async def test_what_was_judged_runs_even_when_the_alias_changes_meanwhile(plain_box: Box) -> None:
    plain_box.git("config", "alias.show-it", "!echo judged")
    plain_box.git("config", "alias.chain", "show-it more")
    done = await plain_box.run("chain", "words")
    assert done.stdout == b"judged more words\n"
    command = plain_box.resolved(await plain_box.judge("chain", "words"))
    assert "alias.show-it=!echo judged" in command.argv
    plain_box.git("config", "alias.s", "status --short")
    assert plain_box.resolved(await plain_box.judge("s", "-b")).argv[-3:] == ("status", "--short", "-b")


@pytest.mark.parametrize(
    ("script", "commands"),
    [
        ("git push", [("push",)]),
        ("git log # git push", [("log",)]),
        ("echo 'git push'; echo \"git push\"", []),
        ("git log >git 2>&1 <push", [("log",)]),
        ("if git diff --quiet; then git push; fi", [("diff", "--quiet"), ("push",)]),
        ("for b in a b; do git push origin $b; done", [("push", "origin", UNKNOWN)]),
        ('case "$1" in a|b) git push;; esac', [("push",)]),
        ("git log `git rev-parse HEAD`", [("log", UNKNOWN), ("rev-parse", "HEAD")]),
        ('git log "$(git merge-base "$(git rev-parse a)" b)"', [
            ("log", UNKNOWN), ("merge-base", UNKNOWN, "b"), ("rev-parse", "a"),
        ]),
        ("git pu\\\nsh 'a b'\"c\"", [("push", "a bc")]),
        ("/usr/bin/git push & git fetch", [("push",), ("fetch",)]),
        ("xargs git push <list", [("push",)]),
    ],
)  # fmt: skip
def test_a_script_tells_its_git_commands(script: str, commands: list[tuple[str, ...]]) -> None:
    found = scan(script)
    assert list(found.commands) == commands
    assert found.problem == ""


@pytest.mark.parametrize(
    "script", ["git push 'x", "cat <<X\npush\nX", "$x push", "git $x push", "eval push", "`push`"]
)
def test_a_script_that_hides_a_push_is_not_understood(script: str) -> None:
    found = scan(script)
    assert found.problem or script == "`push`"

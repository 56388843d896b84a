"""Policy files: all that is wrong is told with its place, and what is right is typed and frozen."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from plugins.base.policy import (
    MAX_BYTES,
    Policy,
    PolicyError,
    Problem,
    decode_policy,
    parse_policy,
    policy_hash,
)
from plugins.base.registry import plugin_class
from plugins.base.rules import ToolRules

CONFIG = Path(__file__).parents[4] / "config"
HEAD = "plugin: git\nversion: 1\n"


class BranchRules(ToolRules):
    """Rules with fields of their own, as a plugin has."""

    blocked_branches: tuple[str, ...] = ()
    allow_tags: bool = False
    max_file_bytes: int | None = Field(default=None, ge=1)


def parse(rest: str, head: str = HEAD + "rules: {}\n") -> Policy:
    return parse_policy(head + rest, rules_model=BranchRules, plugin="git")


def problems(text: str) -> list[str]:
    with pytest.raises(PolicyError) as error:
        parse_policy(text, rules_model=BranchRules, plugin="git")
    return [str(problem) for problem in error.value.problems]


# ---------------------------------------------------------------- what is right


def test_the_shortest_policy_has_the_defaults() -> None:
    policy = parse("")
    assert (policy.plugin, policy.version, policy.credentials, policy.credential_hosts) == ("git", 1, {}, {})
    assert (policy.remotes.push, policy.remotes.fetch) == (("origin",), ("origin",))
    approvals = policy.approvals
    assert (approvals.on_block, approvals.hold_seconds, approvals.grant_minutes) == ("hold", 120, 30)
    assert approvals.never == ("blocked_subcommands",)
    assert (policy.limits.timeout_seconds, policy.limits.max_output_bytes) == (300, 1048576)
    assert (policy.access.allowed_uids, policy.access.socket_permissions) == ((), 0o660)


def test_the_shipped_git_policy_is_the_designs_example() -> None:
    text = (CONFIG / "git.yaml").read_text()
    policy = parse_policy(text, rules_model=plugin_class("git").rules_model, plugin="git")
    assert policy.credentials == {"GITHUB_TOKEN": "GITHUB_TOKEN"}
    assert policy.credential_hosts == {"GITHUB_TOKEN": ("github.com",)}
    assert (policy.remotes.push, policy.remotes.fetch) == (("origin",), ("origin", "https://github.com/*"))
    rules = policy.rules.model_dump()
    assert rules["blocked_branches"] == ("main", "master", "release/*", "production")
    assert rules["allowed_branch_patterns"] == ("claude/*", "feature/*", "fix/*", "bugfix/*", "hotfix/*")
    assert rules["blocked_subcommands"] == (
        "config --global", "remote set-url", "remote remove", "remote rename",
    )  # fmt: skip
    assert not (rules["allow_force_push"] or rules["allow_delete_remote"] or rules["allow_tags"])
    assert policy.access.socket_permissions == 0o660


def test_the_options_that_it_only_mentions_are_right_too() -> None:
    text = re.sub(r"^  # (max_file_bytes|forbidden_paths|commit_message_pattern)", r"  \1",
                  (CONFIG / "git.yaml").read_text(), flags=re.MULTILINE)  # fmt: skip
    rules = parse_policy(text, rules_model=plugin_class("git").rules_model).rules.model_dump()
    assert rules["max_file_bytes"] == 5_000_000
    assert rules["forbidden_paths"] == (".env", "*.pem", "secrets/*")
    assert re.search(rules["commit_message_pattern"], "Add the parser")


@pytest.mark.parametrize("example", sorted((CONFIG / "examples").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_shipped_examples_are_right(example: Path) -> None:
    model = plugin_class(example.stem).rules_model
    parse_policy(example.read_text(), file=example.name, rules_model=model, plugin=example.stem)


def test_a_policy_cannot_be_changed() -> None:
    policy = parse("")
    with pytest.raises(dataclasses.FrozenInstanceError):
        policy.version = 2  # type: ignore[misc]
    with pytest.raises(ValueError, match="frozen"):
        policy.rules.blocked_subcommands = ()  # type: ignore[misc]


def test_the_hash_is_of_the_bytes() -> None:
    policy = parse("# é\r\n")
    assert policy.hash == policy_hash(policy.text)
    assert policy_hash("é") == "4a99557e4033c3539de2eb65472017cad5f9557f7a0625a09f1c3f6e2ba69c4c"


@pytest.mark.parametrize(
    ("written", "mode"), [("0660", 0o660), ('"0600"', 0o600), ("'660'", 0o660), ("0666", 0o666)]
)
def test_permissions_are_read_as_chmod_reads_them(written: str, mode: int) -> None:
    assert parse(f"access: {{socket_permissions: {written}}}").access.socket_permissions == mode


@pytest.mark.parametrize(
    "remote",
    ["origin", "https://github.com/*", "https://git.example.com:8443/a/b.git", "ssh://git@host/x",
     "/srv/git/*", "file:///srv/git/x.git", "git@github.com:owner/*", "https://user@host/x", "http://[::1]:80/x"],
)  # fmt: skip
def test_remotes_that_are_right(remote: str) -> None:
    assert parse(f"remotes: {{push: ['{remote}']}}").remotes.push == (remote,)


def test_credentials_name_a_variable_and_where_it_may_go() -> None:
    policy = parse(
        "credentials: {GH_TOKEN: '${MY_TOKEN}', OTHER: '${O}'}\n"
        "credential_hosts: {OTHER: [git.example.com, localhost:8080]}\n"
    )
    assert policy.credentials == {"GH_TOKEN": "MY_TOKEN", "OTHER": "O"}
    assert policy.credential_hosts == {
        "GH_TOKEN": ("github.com",),
        "OTHER": ("git.example.com", "localhost:8080"),
    }


# ---------------------------------------------------------------- reasons


def test_a_reason_carries_the_line_of_its_rule() -> None:
    policy = parse("remotes:\n  push: [origin]\n", HEAD + "rules:\n  blocked_branches: [main]\n")
    assert policy.line_of("blocked_branches") == 4
    assert policy.line_of("remotes.push") == 6
    assert policy.line_of("remotes.fetch") == 5
    assert policy.line_of("allow_tags") is None
    reason = policy.reason("blocked_branches", "No.", "Do this.", ref="refs/heads/main")
    assert (reason.line, reason.hint, reason.ref, reason.approvable) == (
        4,
        "Do this.",
        "refs/heads/main",
        True,
    )


@pytest.mark.parametrize(
    ("approvals", "rule", "asked", "approvable"),
    [
        ("{}", "blocked_branches", None, True),
        ("{}", "remotes.push", None, True),
        ("{}", "blocked_subcommands", None, False),
        ("{}", "blocked_subcommands", True, False),
        ("{}", "blocked_branches", False, False),
        ("{}", "internal", None, False),
        ("{}", "internal", True, True),
        ("{never: []}", "blocked_subcommands", None, True),
        ("{never: [remotes.push]}", "remotes.push", True, False),
        ("{on_block: refuse}", "blocked_branches", True, False),
    ],
)
def test_a_reason_is_approvable_only_when_the_policy_says_so(
    approvals: str, rule: str, asked: bool | None, approvable: bool
) -> None:
    policy = parse(f"approvals: {approvals}")
    assert policy.reason(rule, "No.", approvable=asked).approvable is approvable


# ---------------------------------------------------------------- what is wrong


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1:1: the file is empty"),
        ("just words\n", "1:1: a policy file is made of `key: value` lines, such as `plugin: git`"),
        ("- a\n", "1:1: a policy file is made of `key: value` lines, such as `plugin: git`"),
        ("plugin: git\nrules: {}\n", "1:1: `version` is missing"),
        (HEAD, "1:1: `rules` is missing"),
        ("plugin: git\nversion: 2\nrules: {}\n", "2:10: `version` must be 1"),
        ("plugin: git\nversion: '1'\nrules: {}\n", "2:10: `version` must be 1"),
        ("plugin: npm\nversion: 1\nrules: {}\n",
         "1:9: `plugin` must be `git`, like the file's name, not `npm`"),
        (HEAD + "rule: {}\nrules: {}\n", "3:1: unknown key `rule`; did you mean `rules`?"),
        (HEAD + "rules:\n  blocked_branchs: []\n",
         "4:3: unknown key `blocked_branchs` in `rules`; did you mean `blocked_branches`?"),
        (HEAD + "rules: {}\nlimits: {zzz: 1}\n",
         "4:10: unknown key `zzz` in `limits`; known are: timeout_seconds, max_output_bytes, max_pack_bytes"),
        (HEAD + "rules: []\n", "3:8: `rules` must be a section of `key: value` entries"),
        (HEAD + "rules: {blocked_branches: main}\n",
         "3:27: `rules.blocked_branches` must be a list, such as [a, b], so write [main]"),
        (HEAD + "rules: {blocked_branches: [a, on]}\n",
         "3:31: each entry of `rules.blocked_branches` must be text; YAML reads `on` as something else, "
         'so put it in quotes: "on"'),
        (HEAD + "rules: {blocked_branches: [1.0]}\n",
         "3:28: each entry of `rules.blocked_branches` must be text; YAML reads `1.0` as something else, "
         'so put it in quotes: "1.0"'),
        (HEAD + "rules: {blocked_branches: [true]}\n",
         "3:28: each entry of `rules.blocked_branches` must be text; YAML reads `true` as something else, "
         'so put it in quotes: "true"'),
        (HEAD + "rules: {blocked_subcommands: ['']}\n",
         "3:31: each entry of `rules.blocked_subcommands` must not be empty"),
        (HEAD + "rules: {allow_tags: yes}\n", "3:21: `rules.allow_tags` must be true or false, not `yes`"),
        (HEAD + "rules: {allow_tags: 'true'}\n", "3:21: `rules.allow_tags` must be true or false"),
        (HEAD + "rules: {max_file_bytes: 0}\n", "3:25: `rules.max_file_bytes` must be at least 1"),
        (HEAD + "rules: {max_file_bytes: 1_000}\n", "3:25: `rules.max_file_bytes` must be a whole number"),
        (HEAD + "rules: {}\napprovals: {on_block: ask}\n",
         "4:23: `approvals.on_block` must be hold or refuse"),
        (HEAD + "rules: {}\napprovals: {hold_seconds: 3601}\n",
         "4:27: `approvals.hold_seconds` must be at most 3600"),
        (HEAD + "rules: {}\napprovals: {hold_seconds: 0120}\n",
         "4:27: `approvals.hold_seconds` must be a number, without leading zero"),
        (HEAD + "rules: {}\napprovals: {never: [blocked_branch]}\n",
         "4:21: `approvals.never` names no rule: `blocked_branch`; did you mean `blocked_branches`?"),
        (HEAD + "rules: {}\nlimits: {max_output_bytes: 5}\n",
         "4:28: `limits.max_output_bytes` must be at least 1024"),
        (HEAD + "rules: {}\naccess: {allowed_uids: [-1]}\n",
         "4:25: each entry of `access.allowed_uids` must be at least 0"),
        (HEAD + "rules: {}\naccess: {socket_permissions: 660}\n",
         "4:30: `access.socket_permissions` must be permissions as for chmod, such as 0660"),
        (HEAD + "rules: {}\naccess: {socket_permissions: 0777}\n",
         "4:30: `access.socket_permissions` must not have execute bits; use 0660 or 0600"),
        (HEAD + "rules: {}\naccess: {socket_permissions: 0060}\n",
         "4:30: `access.socket_permissions` must let the owner read and write; use 0660 or 0600"),
        (HEAD + "rules: {}\ncredentials: {TOKEN: '${T}'}\n",
         "4:15: `credential_hosts` must say where `TOKEN` may go, such as [git.example.com]"),
        (HEAD + "rules: {}\ncredential_hosts: {GITHUB_TOKEN: [github.com]}\n",
         "4:20: `GITHUB_TOKEN` is not among the `credentials`"),
        (HEAD + "rules: {}\nremotes: {push: [https://a:b@host/x]}\n",
         "4:18: each entry of `remotes.push` must not contain a password"),
        (HEAD + "rules: {}\nremotes: {fetch: ['https://*.com/x']}\n",
         "4:19: each entry of `remotes.fetch` must name its host in full; `*` can only stand after the host"),
    ],
)  # fmt: skip
def test_each_problem_is_one_plain_sentence_with_its_place(text: str, expected: str) -> None:
    assert problems(text) == [f"git.yaml:{expected}"]


@pytest.mark.parametrize(
    "remote",
    ["*", "upstream", "https://*", "https://github.com", "https://github.com*", "https://*/x", "ftp://host/x",
     "relative/path", "https://ho st/x", "git@*:x", "ext::sh -c x", "https:///x", "-x"],
)  # fmt: skip
def test_remotes_that_could_match_more_than_meant_are_refused(remote: str) -> None:
    (problem,) = problems(f"{HEAD}rules: {{}}\nremotes: {{push: ['{remote}']}}\n")
    assert "remotes.push" in problem


@pytest.mark.parametrize(
    "host", ["*", "*.com", "https://github.com", "GitHub.com", "a/b", "", "host:port", "-x"]
)
def test_a_credential_goes_to_hosts_named_in_full(host: str) -> None:
    text = f"{HEAD}rules: {{}}\ncredentials: {{X: '${{X}}'}}\ncredential_hosts: {{X: ['{host}']}}\n"
    (problem,) = problems(text)
    assert "must be a host such as github.com" in problem


SECRET = "ghp_0123456789abcdefghijABCDEFGHIJ012345"


@pytest.mark.parametrize(
    "written",
    [SECRET, f"'{SECRET}'", f"'${{X}}{SECRET}'", f"[{SECRET}]", f"{{{SECRET}: 1}}", f"|\n   {SECRET}"],
)
def test_a_secret_in_the_file_is_refused_and_never_shown(written: str) -> None:
    with pytest.raises(PolicyError) as error:
        parse(f"credentials:\n  GITHUB_TOKEN: {written}\n")
    (problem,) = error.value.problems
    assert "the secret itself must never be in this file" in problem.message
    assert SECRET not in f"{error.value} {error.value.problems} {error.value!r} {error.value.__context__}"


def test_every_problem_is_told_in_the_order_of_lines() -> None:
    found = problems(
        "version: 2\nplugin: npm\nrules:\n  allow_tags: yes\n  allow_tags: on\n  x: &a 1\n"
        "remotes: {push: origin}\n"
    )
    assert [problem.split(":")[1] for problem in found] == ["1", "2", "4", "5", "6", "6", "7"]


def test_the_error_names_the_first_problem_and_counts_the_others() -> None:
    with pytest.raises(PolicyError, match=r"^git.yaml:1:1: `rules` is missing$"):
        parse("", HEAD)
    with pytest.raises(PolicyError, match=r"and 1 more problem\)$"):
        parse("", "plugin: git\n")
    with pytest.raises(PolicyError, match=r"and 3 more problems\)$"):
        parse("", "x: 1\n")


# ---------------------------------------------------------------- bytes


@pytest.mark.parametrize(
    ("data", "line", "column", "part"),
    [
        (b"a: 1\nb: \0", 2, 4, "zero bytes"),
        (b"\xef\xbb\xbfa: 1", 1, 1, "byte order mark"),
        (b"\xff\xfea\0", 1, 1, "byte order mark"),
        ("é: 1\nü: ".encode() + b"\xe4", 2, 4, "not UTF-8"),
        (b"\x7fELF\0", 1, 5, "zero bytes"),
        (b"x" * (MAX_BYTES + 1), 1, 1, "larger than 1024 KiB"),
    ],
)
def test_bytes_that_are_no_text_are_refused_with_their_place(
    data: bytes, line: int, column: int, part: str
) -> None:
    with pytest.raises(PolicyError) as error:
        decode_policy(data, file="git.yaml")
    (problem,) = error.value.problems
    assert (problem.line, problem.column, problem.file) == (line, column, "git.yaml")
    assert part in problem.message


def test_text_is_decoded_without_changing_line_ends() -> None:
    assert decode_policy("é\r\n".encode(), file="x") == "é\r\n"


@given(st.binary(max_size=200))
def test_any_bytes_are_a_policy_or_a_policy_error(data: bytes) -> None:
    with pytest.raises(PolicyError):
        parse_policy(decode_policy(data, file="x"))


key = st.sampled_from(
    ["plugin", "version", "rules", "credentials", "remotes", "approvals", "limits", "x", "on"]
)
value = st.recursive(
    st.sampled_from(["git", "1", "yes", "null", "0660", "1.5", "'x'", "[]", "{}", "*", "&a b", "${X}"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda parts: f"[{', '.join(parts)}]")
        | st.tuples(key, inner).map(lambda pair: f"{{{pair[0]}: {pair[1]}}}")
    ),
    max_leaves=6,
)


@given(st.lists(st.tuples(key, value), max_size=6))
def test_any_document_is_a_policy_or_a_list_of_problems_in_order(entries: list[tuple[str, str]]) -> None:
    text = "".join(f"{name}: {content}\n" for name, content in entries)
    try:
        policy = parse_policy(text, rules_model=BranchRules)
    except PolicyError as error:
        assert list(error.problems) == sorted(error.problems)
        assert all(isinstance(problem, Problem) and problem.message for problem in error.problems)
    else:
        assert policy.version == 1

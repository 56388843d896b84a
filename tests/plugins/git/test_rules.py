"""Every rule of the default policy, with real git: what it blocks, and what it must let through."""

from __future__ import annotations

import pytest

from tests.plugins.git.box import Box

BLOCKED = [
    ("push origin main", {"blocked_branches"}),
    ("push", {"blocked_branches"}),
    ("push origin HEAD", {"blocked_branches"}),
    ("push origin @", {"blocked_branches"}),
    ("push origin HEAD:main", {"blocked_branches"}),
    ("push origin HEAD:refs/heads/main", {"blocked_branches"}),
    ("push origin HEAD:heads/main", {"blocked_branches"}),
    ("push --repo=origin", {"blocked_branches"}),
    ("push -u origin main:release/1.0", {"blocked_branches"}),
    ("push origin main:master main:production", {"blocked_branches"}),
    ("push -fu origin claude/x", {"allow_force_push"}),
    ("push -uf origin claude/x", {"allow_force_push"}),
    ("push --force origin claude/x", {"allow_force_push"}),
    ("push --force-w origin claude/x", {"allow_force_push"}),
    ("push --force-with-lease=claude/x:HEAD origin claude/x", {"allow_force_push"}),
    ("push --no-force --force origin claude/x", {"allow_force_push"}),
    ("push origin +x", {"allow_force_push", "allowed_branch_patterns"}),
    ("push origin +main", {"allow_force_push", "blocked_branches"}),
    ("push origin +:", {"allow_force_push"}),
    ("push --mirror", {"allow_force_push", "allow_delete_remote"}),
    ("push --mirror origin", {"allow_force_push", "allow_delete_remote"}),
    ("push origin :claude/old", {"allow_delete_remote"}),
    ("push origin --delete claude/old", {"allow_delete_remote"}),
    ("push -d origin claude/old", {"allow_delete_remote"}),
    ("push --prune origin refs/heads/claude/*", {"allow_delete_remote"}),
    ("push origin --delete main", {"allow_delete_remote", "blocked_branches"}),
    ("push --tags", {"allow_tags"}),
    ("push origin v1", {"allow_tags"}),
    ("push origin tag v1", {"allow_tags"}),
    ("push origin refs/tags/v1", {"allow_tags"}),
    ("push origin claude/x:refs/notes/commits", {"allowed_branch_patterns"}),
    ("push origin claude/x:refs/pull/1/head", {"allowed_branch_patterns"}),
    ("push origin claude/x:HEAD", {"allowed_branch_patterns"}),
    ("push origin claude/x:refs/heads/refs/heads/main", {"allowed_branch_patterns"}),
    ("push origin claude/x:Main", {"blocked_branches"}),
    ("push origin my-feature", {"allowed_branch_patterns"}),
    ("lfs pull", {"internal"}),
    ("lfs fetch origin", {"internal"}),
    ("lfs install", {"internal"}),
    ("lfs status", set()),
    ("-C . push --force", {"allow_force_push", "blocked_branches"}),
    ("-c alias.p=push p", {"blocked_branches"}),
    ("-c alias.p=push p --force origin claude/x", {"allow_force_push"}),
    ("-c push.default=current push", {"blocked_branches"}),
    ("-c remote.origin.push=HEAD:main push", {"blocked_branches"}),
    ("-c remote.origin.mirror=true push", {"allow_force_push", "allow_delete_remote"}),
    ("config --global user.name x", {"blocked_subcommands"}),
    ("config --glob user.name x", {"blocked_subcommands"}),
    ("-c a.b=c config --global --get user.name", {"blocked_subcommands"}),
    ("config -z --global --list", {"blocked_subcommands"}),
    ("config set --global user.name x", {"blocked_subcommands"}),
    ("remote set-url origin /elsewhere", {"blocked_subcommands"}),
    ("remote -v set-url --push origin /elsewhere", {"blocked_subcommands"}),
    ("remote remove origin", {"blocked_subcommands"}),
    ("remote rm origin", {"blocked_subcommands"}),
    ("remote rename origin other", {"blocked_subcommands"}),
    ("config remote.origin.url /elsewhere", {"blocked_subcommands"}),
    ("config --add remote.origin.pushurl /elsewhere", {"blocked_subcommands"}),
    ("config --replace-all Remote.origin.URL /elsewhere", {"blocked_subcommands"}),
    ("config --unset remote.origin.url", {"blocked_subcommands"}),
    ("config url./elsewhere.insteadOf /upstream", {"blocked_subcommands"}),
    ("config --file .git/config remote.origin.url /elsewhere", {"blocked_subcommands"}),
    ("config --rename-section remote.origin remote.other", {"blocked_subcommands"}),
    ("push https://example.invalid/x.git claude/x", {"remotes.push"}),
    ("push git@example.invalid:x.git claude/x", {"remotes.push"}),
    ("fetch https://github.com/o/r", {"remotes.fetch"}),
    ("clone ssh://git@example.invalid/x.git", {"remotes.fetch"}),
    ("clone ext::sh", {"remotes.fetch"}),
    ("fetch foo://bar", {"remotes.fetch"}),
    ("ls-remote /", {"remotes.fetch"}),
    ("-c remote.origin.url=/ push origin claude/x", {"remotes.push"}),
    ("-c remote.origin.pushurl=/ push origin claude/x", {"remotes.push"}),
    ("-c url./.insteadOf=/up push /up claude/x", {"remotes.push"}),
    ("-c remote.origin.vcs=ext push origin claude/x", {"remotes.push"}),
    ("-c remote.origin.receivepack=sh push origin claude/x", {"remotes.push"}),
    ("archive --remote=/ HEAD", {"remotes.fetch"}),
    ("submodule add https://example.invalid/x.git", {"remotes.fetch"}),
    ("remote add -f other https://example.invalid/x.git", {"remotes.fetch"}),
    ("send-pack origin main", {"internal"}),
    ("receive-pack .", {"internal"}),
    ("http-push https://example.invalid", {"internal"}),
    ("remote-ext origin sh", {"internal"}),
    ("daemon", {"internal"}),
    ("credential fill", {"internal"}),
    ("push --receive-pack=sh origin claude/x", {"internal"}),
    ("push --exec sh origin claude/x", {"internal"}),
    ("fetch --upload-pack=sh", {"internal"}),
    ("clone -u sh . x", {"internal"}),
    ("--exec-path=/tmp push", {"internal"}),
    ("push --forc", {"internal"}),
    ("push --nonsense", {"internal"}),
    ("--nonsense push", {"internal"}),
    ("push -z", {"internal"}),
]

ALLOWED = [
    "push origin claude/x", "push -u origin claude/x", "push origin HEAD:claude/x", "push origin claude/a/b",
    "push origin feature/domain-model", "push origin fix/main", "push origin hotfix/master-data",
    "push origin claude/x feature/domain-model", "push --force-if-includes origin claude/x",
    "push -f --no-force origin claude/x", "push --set-up origin claude/x", "push -n origin claude/x",
    "push -o ci.skip origin claude/x", "push --push-option --force origin claude/x",
    "push origin -- claude/x", "push --atomic origin claude/x",
    "push origin claude/force claude/-d", "push --follow-tags origin claude/x",
    "-C . push origin claude/x", "-c alias.p=push p origin claude/x", "-c push.default=nothing push",
    "-c remote.origin.push=refs/heads/claude/*:refs/heads/claude/* push",
    "push --all", "push origin :", "push nowhere claude/x",
    "config user.name x", "config --get user.name", "config --local user.name x", "config --list",
    "config --get remote.origin.url", "config remote.origin.url", "config user.name --global",
    "config remote.origin.fetch +refs/heads/*:refs/remotes/origin/*",
    "config --get-regexp remote.origin.url x",
    "config branch.main.remote origin", "config --edit", "config set user.name x",
    "remote", "remote -v", "remote add other /tmp", "remote get-url origin", "remote show -n origin",
    "remote show origin", "remote update", "remote prune origin",
    "fetch", "fetch origin", "fetch --all", "fetch -p", "fetch origin main:claude/copy", "fetch .",
    "pull", "pull --rebase", "pull origin main", "pull . claude/x", "ls-remote", "ls-remote origin",
    "clone . copy", "submodule status", "submodule update --init",
    "status", "log --all", "commit -m main", "commit --amend", "branch -D main", "tag v2", "tag -d v1",
    "rebase --force-rebase main", "merge --no-verify claude/x", "reset --hard", "clean -fdx",
    "checkout -f main",
    "stash push", "stash push -f", "worktree remove x --force", "notes remove", "rm -f x", "branch -f x",
    "log --grep push --force", "grep -f push", "--version", "--help", "", "-h", "push --help",
    "--no-pager log", "-p log", "--git-dir=.git --work-tree=. status", "nonsense", "--exec-path",
]  # fmt: skip


@pytest.fixture
def repository(plain_box: Box) -> Box:
    for name in (
        "claude/x",
        "claude/a/b",
        "feature/domain-model",
        "fix/main",
        "hotfix/master-data",
        "my-feature",
        "x",
    ):
        plain_box.git("branch", name)
    plain_box.git("tag", "v1")
    return plain_box


async def test_each_of_these_commands_is_refused_by_just_these_rules(repository: Box) -> None:
    wrong = {}
    for line, expected in BLOCKED:
        judged = await repository.judge(*line.split())
        if judged.rules != expected:
            wrong[line] = (judged.rules, [reason.message for reason in judged.decision.reasons])
    assert wrong == {}


async def test_each_of_these_commands_is_let_through(repository: Box) -> None:
    wrong = {}
    for line in ALLOWED:
        judged = await repository.judge(*line.split())
        if judged.rules:
            wrong[line] = [reason.message for reason in judged.decision.reasons]
    assert wrong == {}


async def test_a_policy_that_names_no_patterns_allows_every_branch_that_is_not_blocked(
    repository: Box,
) -> None:
    text = repository.policy.text.replace(
        "allowed_branch_patterns: [claude/*, feature/*, fix/*, bugfix/*, hotfix/*]",
        "allowed_branch_patterns: []",
    )
    repository.use(text)
    assert not (await repository.judge("push", "origin", "my-feature")).rules
    assert (await repository.judge("push", "origin", "main")).rules == {"blocked_branches"}


async def test_a_pattern_of_the_operators_own_lets_its_branches_through(repository: Box) -> None:
    repository.use(repository.policy.text.replace("[claude/*,", "[my-*, claude/*,"))
    assert not (await repository.judge("push", "origin", "my-feature")).rules
    assert (await repository.judge("push", "origin", "x")).rules == {"allowed_branch_patterns"}


async def test_a_branch_that_is_blocked_stays_blocked_when_it_is_allowed_too(repository: Box) -> None:
    repository.use(repository.policy.text.replace("[claude/*,", '["*",'))
    assert (await repository.judge("push", "origin", "main")).rules == {"blocked_branches"}


@pytest.mark.parametrize(
    ("old", "new", "command"),
    [
        ("allow_force_push: false", "allow_force_push: true", "push --force origin claude/x"),
        ("allow_delete_remote: false", "allow_delete_remote: true", "push origin :claude/old"),
        ("allow_tags: false", "allow_tags: true", "push origin v1"),
        ("remote rename]", "remote prune]", "remote rename origin other"),
        ("[config --global,", "[config --system,", "config --global user.name x"),
    ],
)
async def test_what_the_policy_opens_is_open(repository: Box, old: str, new: str, command: str) -> None:
    assert (await repository.judge(*command.split())).rules
    assert old in repository.policy.text
    repository.use(repository.policy.text.replace(old, new))
    assert not (await repository.judge(*command.split())).rules


async def test_only_listed_commands_run_when_the_policy_lists_them(repository: Box) -> None:
    repository.use(
        repository.policy.text.replace("rules:", "rules:\n  allowed_subcommands: [status, remote get-url]")
    )
    assert not (await repository.judge("status", "--short")).rules
    assert not (await repository.judge("remote", "get-url", "origin")).rules
    assert (await repository.judge("log")).rules == {"allowed_subcommands"}
    assert (await repository.judge("remote", "-v")).rules == {"allowed_subcommands"}


async def test_a_command_that_runs_others_is_judged_for_them(repository: Box) -> None:
    harmful = [
        ["rebase", "-x", "git push --mirror", "main"],
        ["bisect", "run", "git", "push", "--mirror"],
        ["submodule", "foreach", "--recursive", "git push --mirror"],
        ["submodule", "--quiet", "foreach", "git", "push", "--mir"],
        ["-c", "alias.r=rebase -x 'git push --mirror'", "r", "main"],
    ]
    for argv in harmful:
        assert (await repository.judge(*argv)).rules == {"allow_force_push", "allow_delete_remote"}, argv
    harmless = [
        ["rebase", "--exec=make test", "main"],
        ["bisect", "run", "make", "push"],
        ["submodule", "foreach", "git push origin claude/x; git status"],
        ["submodule", "foreach", "git fetch"],
    ]
    for argv in harmless:
        assert not (await repository.judge(*argv)).rules, argv


async def test_relative_places_start_where_git_starts(repository: Box) -> None:
    sub = repository.project / "sub" / "deep"
    sub.mkdir(parents=True)
    assert not (await repository.judge("clone", "../..", cwd=sub)).rules
    assert (await repository.judge("clone", "../../..", cwd=sub)).rules == {"remotes.fetch"}
    assert not (await repository.judge("-C", "deep", "clone", "../..", cwd=sub.parent)).rules
    assert not (await repository.judge("push", "../upstream.git", "claude/x", cwd=sub)).rules


async def test_local_commands_are_judged_without_starting_anything(repository: Box) -> None:
    for line in (
        "rev-parse HEAD",
        "log -p",
        "status",
        "diff",
        "cat-file --batch",
        "commit -m x",
        "config user.name",
    ):
        if line.startswith("config"):
            continue
        await repository.judge(*line.split())
    assert repository.spawned == []


async def test_an_origin_that_was_changed_is_refused_with_both_urls_named(repository: Box) -> None:
    elsewhere = repository.root / "elsewhere.git"
    repository.git("init", "-q", "--bare", str(elsewhere))
    repository.git("config", "remote.origin.url", str(elsewhere))
    judged = await repository.judge("push", "origin", "claude/x")
    message = judged.decision.reasons[0].message
    assert str(elsewhere) in message
    assert str(repository.upstream) in message
    assert not judged.decision.approvable


async def test_git_works_on_repositories_of_the_workspace_alone(repository: Box) -> None:
    upstream = str(repository.upstream)
    (repository.project / "link").symlink_to(upstream)
    for line in (
        f"-C {upstream} branch -f main x",
        f"--git-dir={upstream} update-ref refs/heads/main x",
        f"--git-dir {upstream} log",
        "-C .. -C upstream.git status", "-C link status", "--git-dir=link status",
        f"-c alias.x=!git\t-C\t{upstream}\tstatus x",
    ):  # fmt: skip
        assert (await repository.judge(*line.split(" "))).rules == {"internal"}, line
    environment = {"GIT_DIR": upstream}
    assert (await repository.judge("status", environment=environment)).rules == {"internal"}
    inside = {"GIT_DIR": str(repository.project / ".git"), "GIT_WORK_TREE": "."}
    assert not (await repository.judge("-C", "sub/..", "status", environment=inside)).rules

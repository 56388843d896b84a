"""What git's hooks ask, with the real git: what it resolved is what is judged."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from plugins.base.model import Layer
from tests.plugins.git.box import Box, native


def commit(box: Box, name: str, text: str = "x\n") -> None:
    (box.project / name).write_text(text)
    box.git("add", name)
    box.git("commit", "-q", "-m", f"Add {name} to the project")


@pytest.mark.parametrize(
    ("command", "refs"),
    [
        ("push origin HEAD:main", ["refs/heads/main"]),
        ("push", ["refs/heads/main"]),
        ("push --all", ["refs/heads/main"]),
        ("push origin :", ["refs/heads/main"]),
        ("push origin refs/heads/ma*:refs/heads/ma*", ["refs/heads/main"]),
        ("push --no-verify origin main", ["refs/heads/main"]),
        ("-c alias.p=push p origin main", ["refs/heads/main"]),
        ("-c core.hooksPath=/dev/null push origin main", ["refs/heads/main"]),
    ],
)
async def test_a_push_to_a_protected_branch_is_seen_by_the_hook(
    plain_box: Box, command: str, refs: list[str]
) -> None:
    commit(plain_box, "new")
    judged = await plain_box.judge_hook(*command.split(" "))
    assert [update.ref for update in judged.operation.updates] == refs
    assert judged.operation.updates[0].fast_forward is True
    assert judged.operation.layer is Layer.HOOK
    assert judged.rules == {"blocked_branches"}


async def test_a_shell_alias_whose_push_only_the_shell_knows_is_seen_by_the_hook(plain_box: Box) -> None:
    commit(plain_box, "new")
    plain_box.git("config", "alias.ship", '!git push origin "HEAD:$(git branch --show-current)"')
    assert not (await plain_box.judge("ship")).rules
    assert (await plain_box.judge_hook("ship")).rules == {"blocked_branches"}


async def test_an_allowed_push_goes_through_and_arrives(plain_box: Box) -> None:
    commit(plain_box, "new")
    judged = await plain_box.judge_hook("push", "origin", "HEAD:claude/new")
    assert not judged.rules
    done = await plain_box.run("push", "origin", "HEAD:claude/new")
    assert done.exit_code == 0, done.stderr
    assert native("rev-parse", "claude/new", cwd=plain_box.upstream) == plain_box.git("rev-parse", "HEAD")


async def test_a_push_that_the_hook_refuses_leaves_upstream_as_it_was(plain_box: Box) -> None:
    before = native("rev-parse", "main", cwd=plain_box.upstream)
    commit(plain_box, "new")
    (plain_box.root / "answer").write_text("1")
    done = await plain_box.run("push", "--no-verify", "origin", "main")
    assert done.exit_code == 1
    assert b"failed to push some refs" in done.stderr
    assert native("rev-parse", "main", cwd=plain_box.upstream) == before


async def test_a_shim_that_is_not_there_refuses(plain_box: Box) -> None:
    commit(plain_box, "new")
    (plain_box.root / "state" / "git" / "plugin-client").unlink()
    assert (await plain_box.run("push", "origin", "HEAD:claude/new")).exit_code != 0


async def test_a_rewrite_is_seen_whatever_flag_asked_for_it(plain_box: Box) -> None:
    plain_box.git("commit", "-q", "--amend", "-m", "Another history")
    for command in ("push -f origin HEAD:claude/old", "push origin +HEAD:claude/old"):
        judged = await plain_box.judge_hook(*command.split())
        (update,) = judged.operation.updates
        assert update.fast_forward is False
        assert judged.rules == {"allow_force_push"}
        assert judged.decision.approvable


async def test_a_push_by_force_that_loses_nothing_still_counts_as_one(plain_box: Box) -> None:
    commit(plain_box, "new")
    judged = await plain_box.judge_hook("push", "--force", "origin", "HEAD:claude/old")
    assert judged.operation.updates[0].fast_forward is True
    assert judged.rules == {"allow_force_push"}


async def test_a_graft_or_a_replacement_does_not_make_a_rewrite_a_fast_forward(plain_box: Box) -> None:
    old = plain_box.git("rev-parse", "HEAD")
    plain_box.git("commit", "-q", "--amend", "-m", "Another history")
    new = plain_box.git("rev-parse", "HEAD")
    (plain_box.project / ".git" / "info" / "grafts").write_text(f"{new} {old}\n")
    plain_box.git("-c", "advice.graftFileDeprecated=false", "replace", "--graft", new, old)
    judged = await plain_box.judge_hook("push", "-f", "origin", "HEAD:claude/old")
    assert judged.operation.updates[0].fast_forward is False


async def test_deletes_and_tags_and_foreign_refs_are_seen(plain_box: Box) -> None:
    plain_box.git("tag", "-a", "-m", "x", "v1")
    plain_box.git("notes", "add", "-m", "x")
    for command, rules in (
        ("push origin :claude/old", {"allow_delete_remote"}),
        ("push --prune origin refs/heads/none/*:refs/heads/claude/*", {"allow_delete_remote"}),
        ("push --tags", {"allow_tags"}),
        ("push --follow-tags origin main:claude/x", {"allow_tags"}),
        ("push origin refs/notes/*:refs/notes/*", {"allowed_branch_patterns"}),
        ("push origin main:HEAD", {"allowed_branch_patterns"}),
    ):
        commit(plain_box, "more", command)
        plain_box.git("tag", "-f", "-a", "-m", "x", "v2")
        assert (await plain_box.judge_hook(*command.split())).rules == rules, command


async def test_a_mirror_push_lists_everything_it_would_change(plain_box: Box) -> None:
    plain_box.git("branch", "claude/mine")
    judged = await plain_box.judge_hook("push", "--mirror", "origin")
    assert "refs/heads/claude/mine" in {update.ref for update in judged.operation.updates}
    assert {"allow_force_push", "allow_delete_remote"} <= judged.rules


async def test_a_mirror_by_configuration_is_one_in_the_hook_too(plain_box: Box) -> None:
    commit(plain_box, "new")
    plain_box.git("config", "remote.origin.mirror", "true")
    plain_box.git("config", "alias.p", '!x=push && git "$x"')
    assert {"allow_force_push", "allow_delete_remote"} <= (await plain_box.judge_hook("push")).rules


async def test_the_hook_judges_the_url_that_git_resolved(plain_box: Box) -> None:
    other = plain_box.root / "other.git"
    plain_box.git("init", "-q", "--bare", str(other))
    judged = await plain_box.judge_hook(
        "-c", f"remote.origin.pushurl={other}", "push", "origin", "HEAD:claude/x"
    )
    assert judged.operation.contacts[0].path == str(other)
    assert judged.rules == {"remotes.push"}


async def test_a_push_that_would_be_approvable_is_left_to_the_hook(plain_box: Box) -> None:
    judged = await plain_box.judge("push", "-f", "origin", "main")
    assert plain_box.plugin.deferred(judged.operation, judged.decision)
    for command in ("config --global a.b c", "push /tmp main", "send-pack x", "-c alias.a=!git\tpush\t-f a"):
        judged = await plain_box.judge(*command.split(" "))
        assert not plain_box.plugin.deferred(judged.operation, judged.decision)


async def test_files_of_a_commit_are_checked_by_size_and_path(box: Box) -> None:
    box.use(box.policy.text.replace("max_file_bytes: 5000000", "max_file_bytes: 10"))
    (box.project / "big").write_text("0123456789\n")
    (box.project / "small").write_text("0123456789")
    (box.project / ".env").write_text("x\n")
    (box.project / "secrets").mkdir()
    (box.project / "secrets" / "deep").mkdir()
    (box.project / "secrets" / "deep" / "key\n").write_text("x\n")
    box.git("add", "-A")
    judged = await box.judge_hook("commit", "--no-verify", "-m", "Add some files to it")
    assert [(f.path, f.size) for f in judged.operation.files if f.path in ("big", "small")] == [
        ("big", 11), ("small", 10),
    ]  # fmt: skip
    messages = [reason.message for reason in judged.decision.reasons]
    assert [m.partition(" ")[0] for m in messages] == ["big", ".env", "secrets/deep/key\\n"]


async def test_what_commit_all_would_add_is_checked(box: Box) -> None:
    (box.project / "id.pem").write_text("x\n")
    box.git("add", ".")
    box.git("commit", "-q", "-m", "Add a key which is bad")
    (box.project / "id.pem").write_text("y\n")
    assert (await box.judge_hook("commit", "-am", "Change the key again")).rules == {"forbidden_paths"}
    (box.project / "id.pem").unlink()
    assert not (await box.judge_hook("commit", "-am", "Remove the key again")).rules


async def test_the_first_commit_is_checked_too(box: Box) -> None:
    fresh = box.project / "fresh"
    box.git("init", "-q", str(fresh))
    (fresh / ".env").write_text("x\n")
    native("add", "-A", "-f", cwd=fresh)
    judged = await box.judge_hook("-C", "fresh", "commit", "-m", "Start a new project")
    assert judged.rules == {"forbidden_paths"}


@pytest.mark.parametrize(
    ("message", "rules"),
    [
        ("Add a good message", set()),
        ("bad", {"commit_message_pattern"}),
        ("fix: lower case", {"commit_message_pattern"}),
    ],
)
async def test_messages_are_matched(box: Box, message: str, rules: set[str]) -> None:
    (box.root / "answer").write_text("0")
    (box.project / "new").write_text("x")
    box.git("add", ".")
    box.use(box.policy.text.replace("forbidden_paths:", "# ").replace("max_file_bytes:", "# "))
    judged = await box.judge_hook("commit", "-n", "-m", message)
    assert judged.operation.hook == "commit-msg"
    assert judged.rules == rules


async def test_nothing_is_asked_about_commits_when_no_rule_is_about_them(plain_box: Box) -> None:
    (plain_box.project / "new").write_text("x")
    plain_box.git("add", ".")
    assert (await plain_box.run("commit", "-q", "-m", "x")).exit_code == 0
    assert plain_box.asked() == []


def own_hook(directory: Path, name: str, text: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_text(f"#!/bin/sh\n{text}\n")
    (directory / name).chmod(0o755)


@pytest.mark.parametrize("where", ["default", "configured", "argument", "worktree"])
async def test_the_repositorys_own_hooks_run_too(plain_box: Box, where: str) -> None:
    directory, arguments, cwd = plain_box.project / ".git" / "hooks", [], plain_box.project
    if where == "configured":
        directory = plain_box.project / ".husky"
        plain_box.git("config", "core.hooksPath", ".husky")
    elif where == "argument":
        directory = plain_box.project / "mine"
        arguments = ["-c", "core.hookspath=mine"]
    elif where == "worktree":
        cwd = plain_box.project / "tree"
        plain_box.git("worktree", "add", "-q", str(cwd), "-b", "tree")
    mark = plain_box.root / "ran"
    for name in ("pre-commit", "post-commit", "pre-push", "commit-msg"):
        own_hook(
            directory,
            name,
            f'echo "{name} $GIT_EDITOR $GIT_PAGER" >>{mark}; [ {name} != pre-push ] || cat >>{mark}',
        )
    (cwd / "new").write_text("x\n")
    await plain_box.run("add", "new", cwd=cwd)
    done = await plain_box.run(*arguments, "commit", "-q", "-m", "x", cwd=cwd)
    assert done.exit_code == 0, done.stderr
    assert (await plain_box.run(*arguments, "push", "-q", "origin", "HEAD:claude/y", cwd=cwd)).exit_code == 0
    lines = mark.read_text().split("\n")
    assert [line.split(" ")[0] for line in lines[:4]] == [
        "pre-commit",
        "commit-msg",
        "post-commit",
        "pre-push",
    ]
    assert lines[4].endswith(f"refs/heads/claude/y {'0' * 40}")
    assert "state" not in mark.read_text()


async def test_an_own_hook_refuses_as_ever_and_no_verify_skips_it_alone(box: Box) -> None:
    own_hook(box.project / ".git" / "hooks", "pre-commit", "echo no >&2; exit 3")
    (box.project / "new").write_text("x\n")
    box.git("add", "new")
    refused = await box.run("commit", "-m", "Add a new file here")
    assert (refused.exit_code, refused.stderr) == (1, b"no\n")
    asked = len(box.asked())
    assert (await box.run("commit", "-nqm", "Add a new file here")).exit_code == 0
    assert [call.name for call in box.asked()[asked:]] == ["pre-commit", "commit-msg"]


async def test_hooks_of_the_receiving_side_stay_its_own(plain_box: Box) -> None:
    mark = plain_box.root / "received"
    own_hook(plain_box.upstream / "hooks", "post-receive", f"cat >{mark}")
    commit(plain_box, "new")
    assert (await plain_box.run("push", "-q", "origin", "HEAD:claude/y")).exit_code == 0
    assert mark.read_text().endswith("refs/heads/claude/y\n")


async def test_tools_that_ask_where_hooks_are_get_the_repositorys_own_place(plain_box: Box) -> None:
    assert (await plain_box.run("rev-parse", "--git-path", "hooks")).stdout == b".git/hooks\n"
    assert (await plain_box.run("config", "core.hooksPath")).exit_code == 1


async def test_a_clone_and_a_new_repository_are_covered_at_once(plain_box: Box) -> None:
    done = await plain_box.run("clone", "-q", str(plain_box.upstream), "copy")
    assert done.exit_code == 0, done.stderr
    judged = await plain_box.judge_hook("-C", "copy", "push", "origin", "HEAD:release/1")
    assert judged.rules == {"blocked_branches"}
    await plain_box.run("init", "-q", "fresh")
    await plain_box.run("-C", "fresh", "commit", "-q", "--allow-empty", "-m", "x")
    judged = await plain_box.judge_hook("-C", "fresh", "push", str(plain_box.upstream), "HEAD:release/1")
    assert judged.rules == {"blocked_branches"}


async def test_the_editor_and_the_sequence_editor_are_those_of_the_caller(plain_box: Box) -> None:
    editor = plain_box.root / "my editor"
    own_hook(editor.parent, editor.name, 'echo "Written by $0 ${GIT_EDITOR-unset}" >"$1"')
    quoted = f"'{editor}'"
    (plain_box.project / "new").write_text("x\n")
    plain_box.git("add", "new")
    for environment, arguments in (
        ({"GIT_EDITOR": quoted}, []),
        ({"EDITOR": quoted, "TERM": "dumb"}, []),
        ({"VISUAL": quoted, "TERM": "xterm"}, []),
        ({"EDITOR": "false", "TERM": "xterm"}, ["-c", f"core.editor={quoted}"]),
    ):
        done = await plain_box.run(*arguments, "commit", "--allow-empty", environment=environment)
        assert done.exit_code == 0, done.stderr
        assert plain_box.git("log", "-1", "--format=%s") == f"Written by {editor} unset"
    done = await plain_box.run("commit", "--allow-empty", environment={"GIT_EDITOR": "false"})
    assert done.exit_code == 1
    edits = {"GIT_SEQUENCE_EDITOR": "sed -i s/^pick/drop/", "GIT_EDITOR": "false"}
    assert (await plain_box.run("rebase", "-q", "-i", "HEAD~1", environment=edits)).exit_code == 0


async def test_the_caller_sees_its_own_editor_in_git_var(plain_box: Box) -> None:
    done = await plain_box.run("var", "GIT_EDITOR", environment={"GIT_EDITOR": "mine"})
    assert done.stdout == b"mine\n"


def test_the_hooks_are_plain_sh() -> None:
    directory = Path(__file__).parents[3] / "plugins" / "git" / "hooks"
    for script in directory.iterdir():
        assert os.system(f"/bin/sh -n '{script}'") == 0  # noqa: S605 - a path of this project

"""What a refused agent reads."""

from __future__ import annotations

from tests.plugins.git.box import Box


async def refusal(box: Box, *argv: str, request: str = "", note: str = "") -> list[str]:
    judged = await box.judge(*argv)
    return box.plugin.refusal(judged.operation, judged.decision, request, note).splitlines()


async def test_a_push_is_refused_as_a_server_does(plain_box: Box) -> None:
    line = next(
        number
        for number, text in enumerate(plain_box.policy.text.splitlines(), 1)
        if text.strip().startswith("blocked_branches")
    )
    assert await refusal(plain_box, "push", "origin", "main") == [
        "remote: error: main is a protected branch.",
        f"To {plain_box.upstream}",
        " ! [remote rejected] main -> main (protected branch)",
        f"error: failed to push some refs to '{plain_box.upstream}'",
        f"rule: blocked_branches (git.yaml:{line})",
        "hint: Push to a branch of your own: git push origin HEAD:refs/heads/claude/main",
    ]


async def test_every_ref_and_every_rule_is_named_once(plain_box: Box) -> None:
    lines = await refusal(plain_box, "push", "-f", "origin", "main", "main:release/1", ":claude/old")
    rejected = [line for line in lines if line.startswith(" ! ")]
    assert rejected == [
        " ! [remote rejected] claude/old -> claude/old (deletion prohibited)",
        " ! [remote rejected] main -> main (protected branch)",
        " ! [remote rejected] release/1 -> release/1 (protected branch)",
    ]
    rules = [line.split()[1] for line in lines if line.startswith("rule: ")]
    assert rules == ["allow_force_push", "allow_delete_remote", "blocked_branches"]
    assert sum(line.startswith("hint: ") for line in lines) == 1


async def test_anything_else_is_an_error_line(plain_box: Box) -> None:
    lines = await refusal(plain_box, "remote", "rm", "origin")
    assert lines[0] == "error: `git remote remove` is blocked."
    assert lines[1].startswith("rule: blocked_subcommands (git.yaml:")


async def test_what_became_of_the_request_is_told(plain_box: Box) -> None:
    lines = await refusal(plain_box, "push", "-f", request="r12", note="The operator said no: not now")
    assert lines[-2:] == ["note: The operator said no: not now", "request: r12"]


async def test_no_control_character_of_the_agent_gets_through(plain_box: Box) -> None:
    lines = await refusal(plain_box, "push", "origin", "main:\x1b[2Jx\u202e")
    assert "\x1b" not in "".join(lines)
    assert "\u202e" not in "".join(lines)
    assert any("\\x1b[2Jx" in line for line in lines)

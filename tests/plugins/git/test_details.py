"""What the operator is shown about a push."""

from __future__ import annotations

from plugins.base.model import RefUpdate
from plugins.git.details import describe
from plugins.git.lookup import Lookup
from tests.plugins.git.box import Box, runner

ZERO = "0" * 40


def look(box: Box) -> Lookup:
    return Lookup(runner, str(box.project), {})


async def test_a_fast_forward_shows_commits_and_changes(plain_box: Box) -> None:
    old = plain_box.git("rev-parse", "HEAD~1")
    new = plain_box.git("rev-parse", "HEAD")
    text = await describe((RefUpdate("refs/heads/x", old, new, True),), look(plain_box))
    assert "Commits that would arrive:" in text
    assert "Commit 2" in text
    assert "file2 | 1 +" in text
    assert "\n+2\n" in text
    assert "LOST" not in text


async def test_a_rewrite_and_a_delete_show_what_would_be_lost(plain_box: Box) -> None:
    plain_box.git("commit", "-q", "--amend", "-m", "Commit two, again")
    old, new = plain_box.git("rev-parse", "HEAD@{1}"), plain_box.git("rev-parse", "HEAD")
    text = await describe((RefUpdate("refs/heads/x", old, new, False),), look(plain_box))
    assert "NOT a fast-forward" in text
    lost = text.partition("LOST")[2]
    assert "Commit 2" in lost
    text = await describe((RefUpdate("refs/heads/x", new, ZERO),), look(plain_box))
    assert "deleted, was" in text
    assert "Commit two, again" in text


async def test_hostile_text_is_inert_and_bounded(plain_box: Box) -> None:
    (plain_box.project / "big").write_text("\x1b[2J" + "x" * 99 + "\n" + "line\n" * 50_000)
    plain_box.git("add", ".")
    plain_box.git("commit", "-q", "-m", "Subject \x1b]0;title\x07 \u202ereversed")
    old, new = plain_box.git("rev-parse", "HEAD~1"), plain_box.git("rev-parse", "HEAD")
    text = await describe((RefUpdate("refs/heads/x", old, new, True),), look(plain_box))
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert "\\x1b[2Jx" in text
    assert len(text) <= 64 * 1024 + 100
    assert text.endswith("[cut: there is more]")


async def test_programs_of_the_repository_do_not_draw_the_diff(plain_box: Box) -> None:
    plain_box.git("config", "diff.external", "echo external")
    plain_box.git("config", "diff.x.textconv", "echo converted")
    (plain_box.project / ".gitattributes").write_text("* diff=x\n")
    old, new = plain_box.git("rev-parse", "HEAD~1"), plain_box.git("rev-parse", "HEAD")
    text = await describe((RefUpdate("refs/heads/x", old, new, True),), look(plain_box))
    assert "external" not in text
    assert "converted" not in text


async def test_an_object_that_is_not_here_is_said_to_be_missing(plain_box: Box) -> None:
    text = await describe((RefUpdate("refs/heads/x", "1" * 40, "2" * 40),), look(plain_box))
    assert "git could not say" in text

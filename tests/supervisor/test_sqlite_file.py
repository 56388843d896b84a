"""Which files are opened, and that no other one is touched."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from supervisor.audit.schema import AUDIT, AuditError
from supervisor.sqlite_file import open_for_reading, open_for_writing
from supervisor.state_db import StateDb, StateError


def test_a_new_file_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        open_for_writing(tmp_path / "a.db", AUDIT).close()
    finally:
        os.umask(before)
    assert (tmp_path / "a.db").stat().st_mode & 0o777 == 0o600


def test_the_file_is_in_wal_mode(tmp_path: Path) -> None:
    with closing(open_for_writing(tmp_path / "a.db", AUDIT)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (1,)


def test_an_empty_file_left_by_a_crash_is_used(tmp_path: Path) -> None:
    (tmp_path / "a.db").touch()
    with pytest.raises(AuditError, match="is empty"):
        open_for_reading(tmp_path / "a.db", AUDIT)
    open_for_writing(tmp_path / "a.db", AUDIT).close()
    open_for_reading(tmp_path / "a.db", AUDIT).close()


def test_a_newer_format_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    open_for_writing(path, AUDIT).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 2")
    before = path.read_bytes()
    for opened in (open_for_writing, open_for_reading):
        with pytest.raises(AuditError, match="has format 2; this program knows format 1") as caught:
            opened(path, AUDIT)
        assert "newer" in caught.value.hint
    assert path.read_bytes() == before


def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE foreign_table (x)")
    before = path.read_bytes()
    with pytest.raises(AuditError, match="another program"):
        open_for_writing(path, AUDIT)
    assert path.read_bytes() == before


def test_one_kind_is_not_taken_for_another(tmp_path: Path) -> None:
    open_for_writing(tmp_path / "a.db", AUDIT).close()
    with pytest.raises(StateError, match="another program"):
        StateDb(tmp_path / "a.db").open()


@pytest.mark.parametrize("content", [b"not a database\n" * 500, b"SQLite format 3\0" + bytes(5000)])
def test_a_damaged_file_is_refused_with_a_way_forward_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(content)
    with pytest.raises(AuditError, match="is damaged") as caught:
        open_for_writing(path, AUDIT)
    assert "move a.db" in caught.value.hint
    assert path.read_bytes() == content


@pytest.mark.parametrize("kind", ["directory", "symlink", "dangling", "fifo"])
def test_what_is_not_a_regular_file_is_refused(tmp_path: Path, kind: str) -> None:
    path, target = tmp_path / "a.db", tmp_path / "target"
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(target)
        if kind == "symlink":
            target.touch()
    with pytest.raises(AuditError, match="not a regular file"):
        open_for_writing(path, AUDIT)
    assert kind != "dangling" or not target.exists()


def test_a_missing_directory_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match=r"cannot be opened: No such file or directory\."):
        open_for_writing(tmp_path / "none" / "a.db", AUDIT)


def test_reading_never_makes_a_file(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="There is no audit log"):
        open_for_reading(tmp_path / "a.db", AUDIT)
    assert not [*tmp_path.iterdir()]

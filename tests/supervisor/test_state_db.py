"""Settings: set, kept, pinned; and transactions that hold over threads."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from supervisor.state_db import StateDb, StateError


@pytest.fixture
def db(tmp_path: Path) -> Iterator[StateDb]:
    state = StateDb(tmp_path / "state.db").open()
    yield state
    state.close()


def test_a_setting_is_kept_over_restarts_until_it_is_removed(tmp_path: Path) -> None:
    first = StateDb(tmp_path / "state.db").open()
    assert first.get("lockdown") is None
    first.set("lockdown", "maintenance until noon")
    first.set("lockdown", "maintenance until one")
    first.close()
    second = StateDb(tmp_path / "state.db").open()
    assert second.get("lockdown") == "maintenance until one"
    second.set("lockdown", None)
    assert second.get("lockdown") is None
    second.close()


def test_a_pin_keeps_its_first_value(db: StateDb) -> None:
    assert db.set_default("origin:/w", "https://example.com/a.git") == "https://example.com/a.git"
    assert db.set_default("origin:/w", "https://example.com/evil.git") == "https://example.com/a.git"


def test_of_racing_pins_all_see_the_same_winner(tmp_path: Path) -> None:
    databases = [StateDb(tmp_path / "state.db").open() for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        seen = {*pool.map(lambda n: databases[n % 4].set_default("origin:/w", f"url{n}"), range(64))}
    for state in databases:
        state.close()
    assert len(seen) == 1


def test_a_transaction_that_fails_leaves_nothing(db: StateDb) -> None:
    with pytest.raises(ZeroDivisionError), db.transaction() as connection:
        connection.execute("INSERT INTO setting VALUES ('a', 'b')")
        raise ZeroDivisionError
    assert db.get("a") is None


def test_a_closed_state_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="closed"):
        StateDb(tmp_path / "state.db").get("a")


def test_the_file_is_private(db: StateDb, tmp_path: Path) -> None:
    db.set("a", "b")
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}

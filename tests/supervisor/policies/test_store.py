"""Policies on disk: strange files, two savers at once, and the history."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from plugins.base.errors import ClaudeContainerError
from plugins.base.policy import MAX_BYTES, PolicyError, policy_hash
from supervisor.home import Home
from supervisor.policies.store import PolicyConflict, PolicyStore

GOOD = "plugin: npm\nversion: 1\nrules:\n  blocked_subcommands: [publish]\n"
OTHER = GOOD.replace("publish", "unpublish")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "h")
    for directory in (home.config, home.state, home.run):
        directory.mkdir(parents=True)
    return home


@pytest.fixture
def store(home: Home) -> PolicyStore:
    return PolicyStore(home)


def put(home: Home, text: str = GOOD) -> Path:
    path = home.policy_file("npm")
    path.write_bytes(text.encode())
    return path


def only_problem(store: PolicyStore) -> str:
    found = store.read("npm")
    assert found.policy is None
    (problem,) = found.problems
    return str(problem)


# ---------------------------------------------------------------- reading


def test_a_good_file_is_read_with_its_hash_and_policy(home: Home, store: PolicyStore) -> None:
    path = put(home)
    found = store.read("npm")
    assert (found.path, found.text, found.hash, found.problems) == (path, GOOD, policy_hash(GOOD), ())
    assert found.policy is not None
    assert found.policy.rules.blocked_subcommands == ("publish",)


def test_line_ends_are_kept_as_they_are(home: Home, store: PolicyStore) -> None:
    text = GOOD.replace("\n", "\r\n")
    put(home, text)
    assert store.read("npm").text == text
    assert store.read("npm").hash == policy_hash(text)


def test_a_missing_file(store: PolicyStore) -> None:
    assert only_problem(store) == "npm.yaml:1:1: the file is missing"


def test_a_directory(home: Home, store: PolicyStore) -> None:
    home.policy_file("npm").mkdir()
    assert only_problem(store) == "npm.yaml:1:1: this is a directory, not a file"


def test_a_fifo_that_nobody_writes_to(home: Home, store: PolicyStore) -> None:
    os.mkfifo(home.policy_file("npm"))
    assert only_problem(store) == "npm.yaml:1:1: this is not a regular file"


def test_a_device(home: Home, store: PolicyStore) -> None:
    home.policy_file("npm").symlink_to("/dev/zero")
    assert only_problem(store) == "npm.yaml:1:1: this is not a regular file"


def test_a_link_to_itself(home: Home, store: PolicyStore) -> None:
    home.policy_file("npm").symlink_to("npm.yaml")
    assert only_problem(store) == "npm.yaml:1:1: this is a symbolic link that leads to itself"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file(home: Home, store: PolicyStore) -> None:
    put(home).chmod(0)
    assert only_problem(store) == "npm.yaml:1:1: the file cannot be read (permission denied)"


def test_a_huge_file(home: Home, store: PolicyStore) -> None:
    with put(home).open("ab") as file:
        file.truncate(MAX_BYTES * 1000)  # sparse
    assert only_problem(store) == "npm.yaml:1:1: the file is larger than 1024 KiB"


def test_a_binary_file(home: Home, store: PolicyStore) -> None:
    home.policy_file("npm").write_bytes(b"plugin: npm\nver\0sion")
    assert only_problem(store) == "npm.yaml:2:4: the file is not text (it has zero bytes)"
    assert store.read("npm").hash != ""


@pytest.mark.parametrize("length", range(0, len(GOOD) - 30, 5))
def test_a_half_written_file_never_counts(home: Home, store: PolicyStore, length: int) -> None:
    put(home, GOOD[:length])
    assert store.read("npm").problems


def test_a_tool_of_another_file_is_refused(home: Home, store: PolicyStore) -> None:
    home.policy_file("make").write_text(GOOD)
    assert "`plugin` must be `make`" in str(store.read("make").problems[0])


@pytest.mark.parametrize("name", ["../git", "a/b", "", ".", "..", ".git", "-x", "a b", "a\0b", "x" * 65])
def test_a_name_that_leads_elsewhere_is_refused(store: PolicyStore, name: str) -> None:
    for call in (store.read, store.history, store.last_good):
        with pytest.raises(ClaudeContainerError, match="cannot be the name of a tool"):
            call(name)


def test_names_lists_tools_alone(home: Home, store: PolicyStore) -> None:
    for name in ("npm.yaml", "git.yaml", ".git.yaml.x.tmp", "notes.txt", ".x.yaml"):
        (home.config / name).touch()
    assert store.names() == ["git", "npm"]


# ---------------------------------------------------------------- saving


def test_a_save_replaces_the_text_and_keeps_the_mode(home: Home, store: PolicyStore) -> None:
    path = put(home)
    path.chmod(0o640)
    assert store.save("npm", OTHER, policy_hash(GOOD)) == policy_hash(OTHER)
    assert path.read_text() == OTHER
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [file.name for file in home.config.iterdir()] == ["npm.yaml"]


def test_a_new_file_is_saved_with_an_empty_base(home: Home, store: PolicyStore) -> None:
    store.save("npm", GOOD, "")
    assert home.policy_file("npm").read_text() == GOOD


def test_a_save_over_somebody_elses_change_is_a_conflict_that_tells_the_text(
    home: Home, store: PolicyStore
) -> None:
    path = put(home, OTHER)
    with pytest.raises(PolicyConflict) as conflict:
        store.save("npm", GOOD, policy_hash(GOOD))
    assert (conflict.value.current, conflict.value.current_hash) == (OTHER, policy_hash(OTHER))
    assert path.read_text() == OTHER


def test_a_save_where_the_file_went_meanwhile_is_a_conflict(store: PolicyStore) -> None:
    with pytest.raises(PolicyConflict):
        store.save("npm", GOOD, policy_hash(OTHER))


def test_a_text_with_problems_is_never_written(home: Home, store: PolicyStore) -> None:
    path = put(home)
    with pytest.raises(PolicyError, match=r"npm.yaml:4:3: unknown key"):
        store.save("npm", GOOD.replace("blocked_sub", "blokced_sub"), policy_hash(GOOD))
    assert path.read_text() == GOOD


def test_a_bad_file_can_be_saved_over_from_its_own_hash(home: Home, store: PolicyStore) -> None:
    put(home, "plugin: [")
    store.save("npm", GOOD, store.read("npm").hash)
    assert store.read("npm").policy is not None


def test_a_directory_is_never_saved_over(home: Home, store: PolicyStore) -> None:
    home.policy_file("npm").mkdir()
    with pytest.raises(ClaudeContainerError, match="this is a directory"):
        store.save("npm", GOOD, "")


def test_a_symbolic_link_stays_one(home: Home, store: PolicyStore, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles-npm.yaml"
    real.write_text(GOOD)
    home.policy_file("npm").symlink_to(real)
    store.save("npm", OTHER, policy_hash(GOOD))
    assert home.policy_file("npm").is_symlink()
    assert real.read_text() == OTHER


def test_of_many_savers_from_one_base_exactly_one_wins(home: Home) -> None:
    path = put(home)
    barrier = threading.Barrier(8)
    won: list[str] = []
    lost: list[PolicyConflict] = []

    def save(number: int) -> None:
        text = f"{GOOD}# {number}\n"
        barrier.wait()
        try:
            PolicyStore(home).save("npm", text, policy_hash(GOOD))
        except PolicyConflict as conflict:
            lost.append(conflict)
        else:
            won.append(text)

    savers = [threading.Thread(target=save, args=(number,)) for number in range(8)]
    for saver in savers:
        saver.start()
    for saver in savers:
        saver.join()
    assert won == [path.read_text()]
    assert len(lost) == 7


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written_is_one_clear_error(home: Home, store: PolicyStore) -> None:
    put(home)
    home.config.chmod(0o555)
    try:
        with pytest.raises(ClaudeContainerError, match="Permission denied"):
            store.save("npm", OTHER, policy_hash(GOOD))
    finally:
        home.config.chmod(0o755)


def test_a_full_disk_leaves_the_old_file_and_no_scraps(
    home: Home, store: PolicyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(home)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ClaudeContainerError, match="No space left on device"):
        store.save("npm", OTHER, policy_hash(GOOD))
    with pytest.raises(ClaudeContainerError, match="No space left on device"):
        store.accept("npm", OTHER, "x")
    assert path.read_text() == GOOD
    assert [file.name for file in home.config.iterdir()] == ["npm.yaml"]
    assert store.last_good("npm") is None


# ---------------------------------------------------------------- history


def test_there_is_no_last_good_policy_at_first(store: PolicyStore) -> None:
    assert store.last_good("npm") is None
    assert store.history("npm") == []


def test_the_history_is_newest_first_and_private(home: Home, store: PolicyStore) -> None:
    store.accept("npm", GOOD, "start")
    store.accept("npm", OTHER, "operator")
    assert [(entry.hash, entry.who) for entry in store.history("npm")] == [
        (policy_hash(OTHER), "operator"),
        (policy_hash(GOOD), "start"),
    ]
    assert store.last_good("npm") == OTHER
    directory = home.state / "policies" / "npm"
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_the_policy_in_force_is_not_recorded_twice_but_one_that_comes_back_is(store: PolicyStore) -> None:
    for text in (GOOD, GOOD, OTHER, GOOD):
        store.accept("npm", text, "x")
    assert [entry.hash for entry in store.history("npm")] == [policy_hash(t) for t in (GOOD, OTHER, GOOD)]


def test_a_line_cut_off_by_a_crash_is_passed_over(home: Home, store: PolicyStore) -> None:
    store.accept("npm", GOOD, "x")
    with (home.state / "policies" / "npm" / "index.jsonl").open("a") as index:
        index.write('{"hash": "abc')
    assert store.last_good("npm") == GOOD
    store.accept("npm", OTHER, "x")
    assert store.last_good("npm") == OTHER
    assert len(store.history("npm")) == 2


def test_a_damaged_text_is_not_the_last_good_one_nor_is_an_older_one(home: Home, store: PolicyStore) -> None:
    store.accept("npm", OTHER, "x")
    store.accept("npm", GOOD, "x")
    (home.state / "policies" / "npm" / f"{policy_hash(GOOD)}.yaml").write_text(GOOD + "#")
    assert store.last_good("npm") is None


def test_rollback_puts_an_earlier_policy_back(home: Home, store: PolicyStore) -> None:
    put(home, OTHER)
    store.accept("npm", GOOD, "x")
    store.accept("npm", OTHER, "x")
    assert store.rollback("npm", policy_hash(GOOD)[:8]) == policy_hash(GOOD)
    assert home.policy_file("npm").read_text() == GOOD


@pytest.mark.parametrize("prefix", ["", "zz", "../npm"])
def test_rollback_to_an_unknown_policy_is_refused(home: Home, store: PolicyStore, prefix: str) -> None:
    put(home)
    store.accept("npm", GOOD, "x")
    with pytest.raises(ClaudeContainerError, match="is known"):
        store.rollback("npm", prefix)


def test_rollback_by_an_ambiguous_prefix_is_refused(home: Home, store: PolicyStore) -> None:
    put(home)
    texts = [f"{GOOD}# {number}\n" for number in range(17)]
    for text in texts:
        store.accept("npm", text, "x")
    first_digits = [policy_hash(text)[0] for text in texts]
    twice = next(digit for digit in first_digits if first_digits.count(digit) > 1)
    with pytest.raises(ClaudeContainerError, match="give more of its digits"):
        store.rollback("npm", twice)


def test_rollback_to_a_policy_that_no_longer_is_valid_changes_nothing(home: Home, store: PolicyStore) -> None:
    put(home)
    store.accept("npm", "plugin: npm\nversion: 0\nrules: {}\n", "an older release")
    with pytest.raises(PolicyError, match="`version` must be 1"):
        store.rollback("npm", store.history("npm")[0].hash)
    assert home.policy_file("npm").read_text() == GOOD

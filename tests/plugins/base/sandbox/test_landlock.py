from __future__ import annotations

import struct

import pytest

from plugins.base.sandbox import available_isolation, landlock


@pytest.mark.parametrize(
    ("version", "files", "length"),
    [(1, 0x1FFF, 8), (2, 0x3FFF, 8), (3, 0x7FFF, 8), (4, 0x7FFF, 16), (5, 0xFFFF, 16), (6, 0xFFFF, 24),
     (7, 0xFFFF, 24), (12, 0xFFFF, 24)],
)  # fmt: skip
def test_asks_each_version_for_all_that_it_can_deny(version: int, files: int, length: int) -> None:
    attribute = landlock.ruleset_attribute(version)
    assert struct.unpack_from("=Q", attribute) == (files,)
    assert len(attribute) == length
    assert all(word in (files, 3) for word in struct.unpack(f"={length // 8}Q", attribute))


@pytest.mark.parametrize(
    ("version", "connects", "seccomp", "words"),
    [
        (0, False, True, ("every file",)),
        (1, False, True, ("moved", "truncate", "signals")),
        (2, False, True, ("truncate", "signals")),
        (3, False, True, ("signals",)),
        (3, True, True, ("TCP", "signals")),
        (3, False, False, ("TCP", "signals", "abstract")),
        (5, True, True, ("signals",)),
        (5, False, False, ("signals", "abstract")),
        (6, True, True, ()),
        (7, False, False, ()),
    ],
)
def test_names_what_a_version_leaves_open(
    version: int, connects: bool, seccomp: bool, words: tuple[str, ...]
) -> None:
    missing = landlock.missing(version, connects=connects, seccomp=seccomp)
    assert len(missing) == len(words)
    assert all(word in sentence for word, sentence in zip(words, missing, strict=True))


def test_says_what_is_available_without_entering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "abi", lambda: 0)
    isolation = available_isolation()
    assert isolation.landlock_abi == 0
    assert "no Landlock" in isolation.missing[0]

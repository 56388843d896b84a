"""Secrets leave the environment for real, and do not show up where they are not asked for."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest

from plugins.base.secrets import Secret

_CANARY = "canary-4711-canary"
_TAKE = """
import os, sys
from plugins.base.secrets import take_from_environment, forbid_dumps
taken = take_from_environment(["TOKEN", "EMPTY", "ABSENT"])
print(sorted(taken), taken["TOKEN"].reveal().decode(), os.environ.get("TOKEN"), flush=True)
print(open("/proc/self/environ", "rb").read(), flush=True)
os.execv("/bin/sh", ["sh", "-c", "env"]) if "exec" in sys.argv else None
"""


def _take(*arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", _TAKE, *arguments], capture_output=True, text=True, check=True,
        env={"TOKEN": _CANARY, "EMPTY": "", "OTHER": "stays", "PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    return done.stdout.splitlines()


def test_a_token_is_taken_out_of_the_environment_that_the_kernel_shows() -> None:
    taken, environ = _take()
    assert taken == f"['TOKEN'] {_CANARY} None"
    assert _CANARY not in environ
    assert "TOKEN=" in environ  # the name stays where the kernel shows it, with nothing behind
    assert "OTHER=stays" in environ


def test_a_child_does_not_inherit_it() -> None:
    assert not any(_CANARY in line for line in _take("exec")[2:])


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret(_CANARY.encode())
    assert _CANARY not in f"{secret} {secret!r}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_a_wiped_secret_is_gone() -> None:
    secret = Secret(_CANARY.encode())
    assert secret.equals(_CANARY.encode())
    secret.wipe()
    secret.wipe()
    with pytest.raises(ValueError, match="closed"):
        secret.reveal()

"""One supervisor per home."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from plugins.base.errors import ClaudeContainerError
from supervisor import lock
from supervisor.lock import AlreadyRunning


def test_the_second_one_is_told_the_pid_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert lock.holder(path) is None
    with lock.held(path):
        assert lock.holder(path) == os.getpid()
        with pytest.raises(AlreadyRunning, match=f"pid {os.getpid()}"), lock.held(path):
            pass
    assert lock.holder(path) is None
    with lock.held(path):
        pass


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    program = f"""
import sys
from pathlib import Path
from supervisor import lock
with lock.held(Path({str(path)!r})):
    print("held", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert lock.holder(path) == process.pid
        process.kill()
        process.wait()
        with lock.held(path):
            assert lock.holder(path) == os.getpid()


def test_a_lock_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    with pytest.raises(ClaudeContainerError, match="Cannot make"), lock.held(tmp_path / "no" / "lock"):
        pass

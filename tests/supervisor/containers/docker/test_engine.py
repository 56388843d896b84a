"""An engine that is not there, not ours, silent or cut short: each in words, with what to do."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.containers import engine
from supervisor.containers.engine_errors import EngineAway


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with tempfile.TemporaryDirectory(prefix="cc-") as directory, socket.socket(socket.AF_UNIX) as sock:
        sock.bind(f"{directory}/engine.sock")
        yield sock


def url(listener: socket.socket) -> str:
    return f"unix://{listener.getsockname()}"


def test_no_socket_is_no_engine(tmp_path: Path) -> None:
    with pytest.raises(EngineAway, match="There is no container engine at") as caught:
        engine.connect(f"unix://{tmp_path}/engine.sock")
    assert "Start it" in caught.value.hint


def test_a_socket_that_nobody_listens_on(listener: socket.socket) -> None:
    with pytest.raises(EngineAway, match="does not run"):
        engine.connect(url(listener))


def test_an_engine_that_says_nothing(listener: socket.socket) -> None:
    listener.listen()
    with pytest.raises(EngineAway, match="does not answer in time"):
        engine.connect(url(listener), patience=0.1)


def test_an_engine_that_goes_away_in_the_middle(listener: socket.socket) -> None:
    listener.listen()

    def hang_up() -> None:
        for _ in range(2):  # who is there? and the first question
            connection, _ = listener.accept()
            connection.recv(1)
            connection.close()

    thread = threading.Thread(target=hang_up)
    thread.start()
    with pytest.raises(EngineAway, match="went away in the middle"):
        engine.connect(url(listener))
    thread.join()


def test_an_engine_on_another_machine_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    with pytest.raises(EngineAway, match="must be on this machine"):
        engine.connect()


def test_the_socket_of_the_environment_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/other.sock")
    assert engine.find() == "unix:///run/other.sock"

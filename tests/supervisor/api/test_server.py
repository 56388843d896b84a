"""The API socket under good and bad clients."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from plugins.base.errors import ClaudeContainerError
from plugins.base.policy import PolicyError, Problem
from supervisor.api import messages as api_messages
from supervisor.api.client import Client, NotRunning
from supervisor.api.notifier import Notifier
from supervisor.home import Home
from supervisor.policies.store import PolicyConflict
from tests.supervisor.harness import enforced, raw_api, status_when, supervised, write_policy


@pytest.fixture
async def running(place: tuple[Home, Path]) -> AsyncIterator[tuple[Home, Client]]:
    async with supervised(*place) as client:
        yield place[0], client


async def test_no_supervisor_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotRunning) as caught:
        await Client.connect(Home(tmp_path))
    assert caught.value.hint == "Start it with: claude-container start"


async def test_a_socket_that_nobody_listens_on_is_no_supervisor(place: tuple[Home, Path]) -> None:
    home, _ = place
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(home.api_socket))
    with pytest.raises(NotRunning):
        await Client.connect(home)


async def test_status_tells_whose_it_is(running: tuple[Home, Client]) -> None:
    home, client = running
    status = await client.status()
    assert (status.home, status.runtime, status.operators) == (str(home.root), "process", 0)
    assert status.workspace.endswith("/w")


async def test_an_unknown_method_and_wrong_parameters_are_errors_of_that_request_alone(
    running: tuple[Home, Client],
) -> None:
    _, client = running
    with pytest.raises(ClaudeContainerError, match="does not know the method 'dance'"):
        await client._call("dance")
    with pytest.raises(ClaudeContainerError, match="approve: mode"):
        await client._call("approve", id="x", mode="always")
    with pytest.raises(ClaudeContainerError, match="lockdown"):
        await client._call("lockdown", on=True, colour="red")
    with pytest.raises(ClaudeContainerError, match="There is no request 'x'"):
        await client.request("x")
    assert await client.requests() == []


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{", b'{"id": 1}', b'{"id": "1", "method": "x"}', b'{"id":1,"method":"x","params":[]}'],
)
async def test_a_client_that_sends_nonsense_is_cut_off(running: tuple[Home, Client], data: bytes) -> None:
    home, client = running
    with raw_api(home) as sock:
        sock.sendall(len(data).to_bytes(4, "big") + data)
        assert await asyncio.to_thread(sock.recv, 1) == b""
    assert await client.status()


async def test_a_client_that_never_reads_costs_one_connection(running: tuple[Home, Client]) -> None:
    home, client = running
    with raw_api(home) as sock:
        sock.settimeout(0.2)
        frame = b'{"id":1,"method":"status"}'
        with pytest.raises(TimeoutError):
            while True:
                sock.sendall(len(frame).to_bytes(4, "big") + frame)
        assert await client.status()


async def test_two_clients_see_the_same_and_operators_are_counted(running: tuple[Home, Client]) -> None:
    home, client = running
    first = await Client.connect(home, operator=True)
    second = await Client.connect(home, operator=True)
    await status_when(client, lambda status: status.operators == 2)
    write_policy(home, "tool")
    seen = await asyncio.gather(*(enforced(each, "tool") for each in (client, first, second)))
    assert len({plugin.pid for plugin in seen}) == 1
    await first.close()
    await status_when(second, lambda status: status.operators == 1)
    await second.close()
    await status_when(client, lambda status: status.operators == 0)


async def test_what_plugins_use_is_measured_while_an_operator_looks(running: tuple[Home, Client]) -> None:
    home, client = running
    write_policy(home, "tool")
    await enforced(client, "tool")
    assert (await client.status()).plugins[0].memory_bytes is None
    operator = await Client.connect(home, operator=True)
    status = await status_when(operator, lambda status: bool(status.plugins[0].memory_bytes))
    assert status.plugins[0].memory_bytes or 0 > 1_000_000
    await operator.close()


async def test_a_shutdown_ends_every_conversation(running: tuple[Home, Client]) -> None:
    _, client = running
    heard = [await anext(notifications := client.notifications())]
    await client.shutdown()
    heard += [news async for news in notifications]
    assert heard
    with pytest.raises(NotRunning, match="went away"):
        await client.status()


def test_errors_come_out_as_they_went_in() -> None:
    policy = PolicyError((Problem(3, 5, "unknown key", "git.yaml"), Problem(4, 1, "also", "git.yaml")))
    conflict = PolicyConflict("git", "text", "ab")
    plain = ClaudeContainerError("It is so.", hint="Do this.")
    for error in (policy, conflict, plain):
        again = api_messages.rebuild(json.loads(json.dumps(api_messages.describe(error))))
        assert type(again) is type(error)
        assert (again.message, again.hint) == (error.message, error.hint)
        assert vars(again) == vars(error)


async def test_a_slow_reader_gets_the_latest_state_once() -> None:
    sent: list[bytes] = []
    gate, twice = asyncio.Event(), asyncio.Event()

    async def send(data: bytes) -> None:
        await gate.wait()
        sent.append(data)
        if len(sent) == 2:
            twice.set()

    counter = 0
    notifier = Notifier(send, lambda _: counter)
    task = asyncio.create_task(notifier.run())
    for counter in range(1, 1001):
        notifier("audit", True)
        if counter == 500:
            await asyncio.sleep(0)
    gate.set()
    await twice.wait()
    task.cancel()
    assert [json.loads(data)["data"] for data in sent] == [500, 1000]

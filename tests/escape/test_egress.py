"""Whatever is sent at the door of `network.allow`: only what is allowed is reached, and it serves on."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import Iterator

import pytest

from plugins.base.egress.proxy import MOST, MOST_STRANGERS
from tests.escape.egress import FAR_NAMES, NAMES, WELCOME, Egress, egress, reaches
from tests.escape.egress_requests import REQUESTS, SPELLINGS, STRANGERS, Raw, with_field


@pytest.fixture(scope="session")
def running_egress() -> Iterator[Egress]:
    """One gateway for all attacks."""
    with egress() as here:
        yield here


@pytest.fixture
def place(running_egress: Egress) -> Iterator[Egress]:
    """No attack reaches the server that must not be reached."""
    before = running_egress.forbidden.visits
    yield running_egress
    assert running_egress.forbidden.visits == before
    assert running_egress.log.complaints() == ""


@pytest.mark.parametrize("attack", REQUESTS, ids=lambda attack: attack.name)
async def test_a_request_that_must_not_pass(place: Egress, attack: Raw) -> None:
    await place.send(attack.data(place), ends=attack.ends)
    assert await place.works()


@pytest.mark.parametrize("host", [*SPELLINGS, *NAMES])
def test_any_program_would_get_there_by_that_spelling(running_egress: Egress, host: str) -> None:
    if not reaches(host, running_egress.forbidden.port):
        pytest.skip(f"{host} leads nowhere on this machine")


@pytest.mark.parametrize("host", FAR_NAMES)
async def test_an_allowed_name_that_stands_for_something_near_is_not_even_tried(
    place: Egress, host: str
) -> None:
    answer = await place.send(place.head(f"{host}:{place.forbidden.port}"))
    assert answer.startswith(f"HTTP/1.1 403 {host}".encode()), answer


@pytest.mark.parametrize("name", STRANGERS)
async def test_without_the_capability_nothing_is_reached(place: Egress, name: str) -> None:
    before = place.allowed.visits
    answer = await place.send(with_field(STRANGERS[name])(place))
    assert answer.split()[1] in (b"407", b"400")
    assert place.allowed.visits == before
    assert await place.works()


async def test_a_second_request_in_the_tunnel_is_for_the_host_alone(place: Egress) -> None:
    """What looks like a request is bytes for whoever is at the other end."""
    answer = await place.send(place.honest + place.head(f"127.0.0.1:{place.forbidden.port}"))
    assert answer.count(b"HTTP/1.1") == 1
    assert answer.endswith(WELCOME)


async def test_connections_that_say_nothing_stop_nobody(place: Egress) -> None:
    """A slow loris: some have not begun, some are in the middle of a request, and none goes on."""
    beginnings = (b"", b"CONNECT ", place.honest[:40], place.honest[:-1], place.honest[:-2] + b"X: y\r\n")
    async with contextlib.AsyncExitStack() as stack:
        for number in range(3 * MOST_STRANGERS):
            _, writer = await asyncio.open_connection("127.0.0.1", place.port)
            stack.callback(writer.close)
            writer.write(beginnings[number % len(beginnings)])
        assert await place.works()


@pytest.fixture
def descriptors() -> Iterator[int]:
    """As many as this process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_thousands_of_connections_are_served_or_turned_away(place: Egress, descriptors: int) -> None:
    async def ask(number: int) -> bytes:
        host = place.allowed if number % 2 else place.forbidden
        return await place.send(place.head(f"127.0.0.1:{host.port}"), ends=False)

    count = min(8 * MOST, descriptors // 2)
    answers = await asyncio.gather(*(ask(number) for number in range(count)), return_exceptions=True)
    there = [answer for answer in answers if isinstance(answer, bytes)]
    assert {answer.split()[1] for answer in there if answer} <= {b"200", b"403", b"503"}
    assert any(answer.endswith(WELCOME) for answer in there)
    assert await place.works()

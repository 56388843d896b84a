"""Whatever is sent at the gateway's doors: no ref moves, no token comes out, and it goes on serving."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Iterator

import pytest

from tests.escape.wire import ASKED, ZERO, Wire, push, wire
from tests.escape.wire_pushes import PUSHES, PushAttack
from tests.escape.wire_requests import HTTP, STREAM, Raw


@pytest.fixture(scope="session")
def running() -> Iterator[Wire]:
    """One gateway for all attacks; after them the token is in none of its files."""
    with wire() as here:
        yield here
        assert here.token_on_disk() == []


@pytest.fixture
def place(running: Wire) -> Iterator[Wire]:
    yield running
    running.reset()


async def _check(place: Wire, answer: bytes, may: frozenset[str] = frozenset()) -> None:
    assert place.changed() <= may, answer
    assert not place.leaks(answer)
    assert place.log.complaints() == ""
    assert await place.push_honestly()


@pytest.mark.parametrize("attack", PUSHES, ids=lambda attack: attack.name)
async def test_a_push_that_must_not_pass(place: Wire, attack: PushAttack) -> None:
    body = attack.body(place)
    answers = await asyncio.gather(place.http(place.post(body)), place.stream(place.head() + body))
    await _check(place, b"".join(answers), attack.may)


@pytest.mark.parametrize("attack", [each for each in PUSHES if each.real], ids=lambda attack: attack.name)
async def test_it_would_pass_with_the_credential_alone(place: Wire, attack: PushAttack) -> None:
    await place.past_the_gateway(attack.body(place))
    assert place.changed() - attack.may


@pytest.mark.parametrize("attack", HTTP, ids=lambda attack: attack.name)
async def test_an_http_request_that_is_not_gits(place: Wire, attack: Raw) -> None:
    await _check(place, await place.http(attack.data(place), ends=attack.ends))


@pytest.mark.parametrize("attack", STREAM, ids=lambda attack: attack.name)
async def test_a_stream_that_is_not_gits(place: Wire, attack: Raw) -> None:
    await _check(place, await place.stream(attack.data(place)))


async def test_a_push_that_is_cut_off_at_any_byte(place: Wire) -> None:
    onto_main = push((place.main, place.mine, "refs/heads/main"), asked=ASKED)
    allowed = push((place.other, place.next, "refs/heads/claude/other"), pack=place.pack(place.next))
    # Behind the pack's header its bytes are all alike.
    cut = [
        *(onto_main[:length] for length in range(len(onto_main))),
        *(allowed[:length] for length in range(0, len(allowed), 20)),
    ]
    answers = [await place.http(place.post(body)) + await place.stream(place.head() + body) for body in cut]
    await _check(place, b"".join(answers))


async def test_an_upload_that_is_cut_off_leaves_nothing(place: Wire) -> None:
    request = place.post(push((ZERO, place.mine, "refs/heads/claude/x"), pack=place.pack(place.mine)))
    answers = [await place.http(request[:-count], ends=True) for count in range(1, 60)]
    await _check(place, b"".join(answers))


async def test_connections_that_say_nothing_stop_nobody(place: Wire) -> None:
    """A slow loris: some have not begun, some are in the middle of a request, and none goes on."""
    onto_main = push((place.main, place.mine, "refs/heads/main"))
    beginnings = (b"", b"POST ", place.post(b"x")[:80], place.post(onto_main)[:-8])
    async with contextlib.AsyncExitStack() as stack:
        for number in range(500):
            port = place.http_port if number % 2 else place.stream_port
            await _hold(stack, port, beginnings[number % len(beginnings)])
        assert await place.push_honestly()
    await _check(place, b"")


async def _hold(stack: contextlib.AsyncExitStack, port: int, data: bytes) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    stack.callback(writer.close)
    writer.write(data)


async def test_200_pushes_of_main_at_once(place: Wire) -> None:
    body = push((place.main, place.mine, "refs/heads/main"), pack=place.pack(place.mine, f"^{place.main}"))
    requests = [
        place.http(place.post(body)) if n % 2 else place.stream(place.head() + body) for n in range(200)
    ]
    answers = await asyncio.gather(*requests, return_exceptions=True)
    await _check(place, b"".join(answer for answer in answers if isinstance(answer, bytes)))


async def test_racing_pushes_of_one_ref_end_with_one_of_them(place: Wire) -> None:
    """Each is allowed from the old value; whoever comes second finds it gone."""
    bodies = [
        push((ZERO, new, "refs/heads/claude/race"), pack=place.pack(new)) for new in (place.mine, place.next)
    ]
    answers = await asyncio.gather(*(place.http(place.post(bodies[n % 2])) for n in range(8)))
    assert sum(b"ok refs/heads/claude/race" in answer for answer in answers) == 1
    await _check(place, b"".join(answers), frozenset(["refs/heads/claude/race"]))


async def test_the_remote_is_sent_our_credential_alone(place: Wire) -> None:
    """Basic authentication of the client's own does not get there: the push would not be taken with it."""
    body = push((ZERO, place.mine, "refs/heads/claude/x"), pack=place.pack(place.mine, f"^{place.main}"))
    forged = base64.b64encode(b"x-access-token:forged").decode()
    answer = await place.http(place.post(body, f"Authorization: Basic {forged}"))
    assert b"ok refs/heads/claude/x" in answer
    await _check(place, answer, frozenset(["refs/heads/claude/x"]))

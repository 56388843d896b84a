"""The gateway itself, with a supervisor's place taken by the test, and real servers behind it."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from plugins.base.control import Answer, Told
from plugins.base.egress import lookup, proxy
from plugins.base.egress.proxy import Proxy
from tests.plugins.base.egress.site import COMMAND, echo, site_for, talk
from tests.tls import certificate, server_context


async def test_tls_goes_through_from_end_to_end(tmp_path: Path) -> None:
    both = certificate(tmp_path)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 3_000_000)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_context(both)) as server:
        target = f"localhost:{server.sockets[0].getsockname()[1]}"
        async with site_for(target) as site:
            client = await site.request(target)
            assert (await client.answer()).startswith("HTTP/1.1 200 ")
            trust = ssl.create_default_context(cafile=str(both))
            await client.writer.start_tls(trust, server_hostname="localhost")
            client.writer.write(b"GET / HTTP/1.0\r\n\r\n")
            assert (await client.rest()).endswith(b"x" * 3_000_000)
            event = await site.supervisor.recorded("connect", target, verdict="allowed")
            assert (event.plugin, event.layer, event.command) == ("npm", "wire", COMMAND)
            over = await site.supervisor.recorded("connect", target, verdict="info")
            assert "closed after" in over.reason and "bytes sent" in over.reason


async def test_who_has_said_all_can_still_be_told() -> None:
    async with echo() as port, site_for(f"127.0.0.1:{port}") as site:
        client = await site.request(f"127.0.0.1:{port}")
        await client.answer()
        client.writer.write(b"all")
        client.writer.write_eof()
        assert await client.rest() == b"said:all"


async def test_another_host_is_refused_with_rule_and_way_forward() -> None:
    async with site_for("a.example") as site:
        client = await site.request("b.example:443")
        said = await client.answer() + (await client.rest()).decode()
        assert said.startswith("HTTP/1.1 403 b.example:443 is not among the hosts that npm may reach.")
        assert "rule: network.allow (policy line 3)" in said
        assert "hint: Use one of network.allow (a.example)" in said
        event = await site.supervisor.recorded("connect", "b.example:443", verdict="blocked")
        assert (event.rule, event.rule_line) == ("network.allow", 3)


async def test_whoever_called_is_told_why_before_the_tool_is() -> None:
    async with site_for("a.example") as site:
        site.supervisor.hands_on = False
        client = await site.request("b.example:443")
        await site.supervisor.until(lambda: site.supervisor.tells)
        tell = site.supervisor.tells[0]
        assert (tell.command, tell.text.splitlines()[1:]) == (
            COMMAND,
            [
                "rule: network.allow (policy line 3)",
                "hint: Use one of network.allow (a.example), or ask the operator to add it.",
            ],
        )
        assert not client.reader._buffer  # type: ignore[attr-defined]
        await site.supervisor.send(Told(tell=tell.tell))
        assert " 403 " in await client.answer()


async def test_a_refusal_does_not_wait_for_a_supervisor_that_is_not_there() -> None:
    async with site_for("a.example") as site:
        await site.supervisor.stop()
        assert " 403 " in await site.answer("b.example:443")


@pytest.mark.parametrize(
    ("target", "method", "said"),
    [
        ("http://a.example/", "GET", "hint: Ask for https://a.example instead."),
        ("127.1:443", "CONNECT", "error: What to connect to must be a whole address"),
        ("no-such-host.invalid:443", "CONNECT", "error: no-such-host.invalid cannot be looked up"),
    ],
)
async def test_they_are_told_of_all_that_fails(target: str, method: str, said: str) -> None:
    async with site_for("a.example, no-such-host.invalid") as site:
        await site.answer(target, method=method)
        assert said in site.supervisor.tells[0].text


@pytest.mark.parametrize(
    ("target", "more", "status"),
    [
        ("a.example:443", {"secret": "other"}, 407),
        ("http://a.example/", {"method": "GET"}, 405),
        ("127.1:443", {}, 400),
        ("127.0.0.1:22", {}, 403),
        ("no-such-host.invalid:443", {}, 502),
    ],
)
async def test_no_is_said_in_http(target: str, more: dict[str, str], status: int) -> None:
    async with site_for("a.example, no-such-host.invalid") as site:
        assert (await site.answer(target, **more)).startswith(f"HTTP/1.1 {status} ")


async def test_without_a_policy_nothing_is_reached() -> None:
    async with echo() as port, site_for(f"127.0.0.1:{port}") as site:
        site.gateway._held.policy = None
        assert (await site.answer(f"127.0.0.1:{port}")).startswith("HTTP/1.1 403 There is no valid policy")


async def test_a_name_that_stands_for_this_machine_reaches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def looked_up(target: object) -> tuple[str, ...]:
        return ("127.0.0.1",)

    monkeypatch.setattr(lookup, "addresses_of", looked_up)
    async with echo() as port, site_for(f"trick.example:{port}") as site:
        said = await site.answer(f"trick.example:{port}")
        assert "403 trick.example stands for 127.0.0.1, which is this machine's own" in said
        await site.supervisor.recorded("connect", f"trick.example:{port}", verdict="blocked")


async def test_a_name_that_is_not_allowed_is_never_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A question to a server of names would carry it out."""
    asked: list[object] = []

    async def look_up(target: object) -> tuple[str, ...]:
        asked.append(target)
        return ()

    monkeypatch.setattr(lookup, "addresses_of", look_up)
    async with site_for('a.example, "*.b.example"') as site:
        for target in ("secret.a.example:443", "b.example:443", "a.example:444", "secret.evil.example:443"):
            assert " 403 " in await site.answer(target)
        assert asked == []


async def test_a_policy_that_comes_while_the_host_is_reached_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tool reads why, as ever."""
    async with talk() as port, site_for(f"127.0.0.1:{port}") as site:
        reach = Proxy._reach

        async def slowly(*arguments: Any) -> Any:
            host = await reach(*arguments)
            await site.put("a.example")
            return host

        monkeypatch.setattr(Proxy, "_reach", slowly)
        assert f" 403 127.0.0.1:{port} is not among" in await site.answer(f"127.0.0.1:{port}")


async def test_the_operators_yes_lets_it_through_and_the_policy_ends_it() -> None:
    """A yes for a name; what was approved ends when nobody could approve it any more."""
    async with talk() as port, site_for("a.example", "hold") as site:
        target = f"localhost.example:{port}"
        client = await site.request(target)
        ask = await site.supervisor.next_ask()
        assert (ask.plugin, ask.args, ask.command) == ("npm", ("connect", target), COMMAND)
        await site.supervisor.answer(ask, "waiting")
        await site.supervisor.recorded("connect", target, verdict="held")
        assert [tell.text for tell in site.supervisor.tells] == [
            "npm: waiting for the operator, request r1 (up to 60 s)\n"
        ]
        await site.supervisor.answer(ask, "denied", reason="not today")
        assert "The operator said no: not today" in await client.answer()
        site.supervisor.on_ask = lambda ask: [Answer(ask=ask.ask, outcome="approved", request="r2")]
        assert " 502 " in await site.answer(target)  # let through, and there is no such host
        await site.supervisor.recorded("connect", target, verdict="approved")


async def test_a_tool_that_hangs_up_is_not_asked_for_any_more() -> None:
    async with site_for("a.example", "hold") as site:
        client = await site.request("b.example:443")
        ask = await site.supervisor.next_ask()
        await site.supervisor.answer(ask, "waiting")
        client.writer.close()
        await site.supervisor.until(lambda: ask.ask in site.supervisor.forgotten)


@pytest.mark.parametrize("how", ["policy", "lockdown"])
async def test_what_is_open_ends_when_it_may_not_be_any_more(how: str) -> None:
    async with talk() as port, site_for(f"127.0.0.1:{port}") as site:
        client = await site.request(f"127.0.0.1:{port}")
        await client.answer()
        client.writer.write(b"there?")
        assert await client.reader.readexactly(6) == b"there?"
        if how == "policy":
            await site.put(f"a.example, 127.0.0.1:{port}")  # still among them: it goes on
            client.writer.write(b"still?")
            assert await client.reader.readexactly(6) == b"still?"
            await site.put("a.example")
        else:
            await site.supervisor.lockdown(True, "stop")
        assert await client.rest() == b""
        over = await site.supervisor.recorded("connect", f"127.0.0.1:{port}", verdict="info")
        assert "ended: " in over.reason
        assert " 403 " in await site.answer(f"127.0.0.1:{port}")


@pytest.mark.parametrize(
    "sent", [b"CONNECT a.example:443 HTTP/1.1\r\n", b"x" * 100_000], ids=["slow", "large"]
)
async def test_what_is_slow_or_too_large_is_answered_and_closed(sent: bytes) -> None:
    async with site_for("a.example") as site:
        site.gateway._proxy._head_within = 0.2
        client = await site.connect()
        client.writer.write(sent)
        assert (await client.answer()).split()[1] in ("408", "431")


async def test_there_are_only_so_many_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "MOST", 1)
    async with talk() as port, site_for(f"127.0.0.1:{port}") as site:
        first = await site.request(f"127.0.0.1:{port}")
        await first.answer()
        assert " 503 " in await site.answer(f"127.0.0.1:{port}")


async def test_silence_ends_a_tunnel() -> None:
    async with talk() as port, site_for(f"127.0.0.1:{port}") as site:
        site.gateway._proxy._idle = 0.2
        client = await site.request(f"127.0.0.1:{port}")
        await client.answer()
        assert await client.rest() == b""
        over = await site.supervisor.recorded("connect", f"127.0.0.1:{port}", verdict="info")
        assert "nothing was said" in over.reason

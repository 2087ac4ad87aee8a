from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

import pytest
import trustme

from adapters.errors import HostBroken, HostUnreachable
from gateway.hop import Hop, Limits, Timeouts
from tests.gateway.hop.servers import GET, POST, Peer, Script, echo_ok, serve, until

pytestmark = pytest.mark.ssl

Certify = Callable[[str], ssl.SSLContext]


def answer_and(end: Callable[[Peer], None]) -> Script:
    """Answer without framing, and end the connection in some way."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        end(peer)

    return script


async def test_trusted_host_is_spoken_to_and_its_connection_kept(trusting: ssl.SSLContext, certified: Certify) -> None:
    async with serve(echo_ok, certified("localhost")) as server:
        hop = Hop(server.url, ssl=trusting)
        for _ in range(3):
            response = await hop.send(POST)
            assert await response.body(10) == b"ok"
        assert (server.connections, hop.idle) == (1, 1)
        await hop.aclose()


async def test_certificate_for_an_address_is_enough_for_an_address(
    trusting: ssl.SSLContext, certified: Certify
) -> None:
    async with serve(echo_ok, certified("127.0.0.1")) as server:
        hop = Hop(server.url.replace("localhost", "127.0.0.1"), ssl=trusting)
        assert await (await hop.send(GET)).body(10) == b"ok"
        await hop.aclose()


async def test_hosts_name_is_sent_before_the_handshake(trusting: ssl.SSLContext, certified: Certify) -> None:
    names: list[str | None] = []
    context = certified("localhost")
    context.sni_callback = lambda _, name, __: names.append(name)
    async with serve(echo_ok, context) as server:
        hop = Hop(server.url, ssl=trusting)
        await (await hop.send(GET)).body(10)
        assert names == ["localhost"]
        await hop.aclose()


async def test_unknown_authority_makes_a_host_unreachable(certified: Certify) -> None:
    context = ssl.create_default_context()
    trustme.CA().configure_trust(context)
    async with serve(echo_ok, certified("localhost")) as server:
        hop = Hop(server.url, ssl=context)
        with pytest.raises(HostUnreachable) as caught:
            await hop.send(GET)
        assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
        assert "certificate verify failed" in caught.value.detail
        await hop.aclose()


async def test_system_knows_nothing_of_the_tests_authority(certified: Certify) -> None:
    async with serve(echo_ok, certified("localhost")) as server:
        hop = Hop(server.url)
        with pytest.raises(HostUnreachable):
            await hop.send(GET)
        await hop.aclose()


async def test_certificate_for_another_name_makes_a_host_unreachable(
    trusting: ssl.SSLContext, certified: Certify
) -> None:
    async with serve(echo_ok, certified("other.example")) as server:
        hop = Hop(server.url, ssl=trusting)
        with pytest.raises(HostUnreachable) as caught:
            await hop.send(GET)
        assert "Hostname mismatch" in caught.value.detail
        await hop.aclose()


async def test_host_that_does_not_speak_tls_is_unreachable(trusting: ssl.SSLContext) -> None:
    async def script(peer: Peer) -> None:
        await peer.receive(1)
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serve(script) as server:
        hop = Hop(server.url.replace("http", "https"), ssl=trusting)
        with pytest.raises(HostUnreachable):
            await hop.send(GET)
        await hop.aclose()


@pytest.mark.parametrize("cancels", [True, False])
async def test_handshake_that_stalls_ends_at_once_when_the_caller_leaves_or_its_time_is_over(
    trusting: ssl.SSLContext, cancels: bool
) -> None:
    greeted, left = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.receive(1)
        greeted.set()
        await peer.closed()
        left.set()

    async with serve(script) as server:
        hop = Hop(
            server.url.replace("http", "https"), ssl=trusting, timeouts=Timeouts(connect=None if cancels else 0.05)
        )
        sending = asyncio.create_task(hop.send(GET))
        await greeted.wait()
        if cancels:
            sending.cancel()
        with pytest.raises(asyncio.CancelledError if cancels else HostUnreachable):
            await sending
        await left.wait()
        await hop.aclose()


async def test_host_that_closes_the_connection_at_once_is_an_error_and_leaves_nothing_behind(
    trusting: ssl.SSLContext, certified: Certify
) -> None:
    async def script(peer: Peer) -> None:
        peer.close()

    async with serve(script, certified("localhost")) as server:
        hop = Hop(server.url, ssl=trusting)
        for _ in range(5):
            with pytest.raises((HostUnreachable, HostBroken)):  # whether the request is on its way is a matter of luck
                await hop.send(GET)
        await hop.aclose()
        assert hop.busy == 0


async def test_close_in_the_middle_closes_the_connection_at_once(trusting: ssl.SSLContext, certified: Certify) -> None:
    left = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nsome")
        await peer.closed()
        left.set()

    async with serve(script, certified("localhost")) as server:
        hop = Hop(server.url, ssl=trusting)
        response = await hop.send(GET)
        response.close()
        await left.wait()
        await until(lambda: hop.busy == 0)
        await hop.aclose()


async def test_answer_until_close_ends_with_the_tls_connection(trusting: ssl.SSLContext, certified: Certify) -> None:
    async with serve(answer_and(Peer.close), certified("localhost")) as server:
        hop = Hop(server.url, ssl=trusting)
        assert await (await hop.send(GET)).body(100) == b"all of it"
        await hop.aclose()


@pytest.mark.asyncio(loop_factories=["uvloop"])  # asyncio's own TLS reports both ends alike
async def test_answer_until_close_is_cut_when_tls_does_not_say_that_it_ended(
    trusting: ssl.SSLContext, certified: Certify
) -> None:
    async with serve(answer_and(Peer.vanish), certified("localhost")) as server:
        hop = Hop(server.url, ssl=trusting)
        with pytest.raises(HostBroken, match="was cut"):
            await (await hop.send(GET)).body(100)
        await hop.aclose()


@pytest.mark.parametrize("close", [False, True], ids=["content-length", "until close"])
async def test_slow_reader_gets_everything(trusting: ssl.SSLContext, certified: Certify, close: bool) -> None:
    size = 20_000_000

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n%b\r\n" % (b"" if close else b"content-length: %d\r\n" % size))
        for _ in range(size // 100_000):
            await peer.send(bytes(100_000))

    async with serve(script, certified("localhost")) as server:
        hop = Hop(server.url, ssl=trusting, limits=Limits(high_water=100_000))
        response = await hop.send(GET)
        (connection,) = hop._open
        await until(lambda: connection._paused)
        assert sum(map(len, response._answer.pieces)) <= 1_000_000
        received = 0
        while data := await response.read():
            received += len(data)
            await asyncio.sleep(0.001)
        assert received == size
        await hop.aclose()

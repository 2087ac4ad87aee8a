from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest

from adapters.errors import HostBroken, HostUnreachable
from adapters.types import Call
from gateway.hop import Hop, Limits
from gateway.hop.connection import Connection
from tests.gateway.hop.servers import GET, OK, POST, Peer, Script, deaf, echo_ok, pieces, serve, until, unused


async def get(hop: Hop) -> bytes:
    response = await hop.send(GET)
    try:
        return await response.body(100)
    finally:
        response.close()


async def test_connection_is_used_again_and_again() -> None:
    async with serve(echo_ok) as server:
        hop = Hop(server.url)
        for _ in range(5):
            assert await get(hop) == b"ok"
        assert (server.connections, hop.idle, hop.busy) == (1, 1, 0)
        await hop.aclose()


async def test_connection_is_free_as_soon_as_the_answer_has_arrived() -> None:
    async with serve(echo_ok) as server:
        hop = Hop(server.url)
        response = await hop.send(GET)
        assert response.complete
        assert (hop.idle, hop.busy) == (1, 0)
        assert await get(hop) == b"ok"
        assert await response.read() == b"ok"
        assert server.connections == 1
        await hop.aclose()


async def test_calls_at_once_have_connections_of_their_own_and_few_are_kept() -> None:
    all_here = asyncio.Barrier(4)

    async def script(peer: Peer) -> None:
        while await peer.request():
            await all_here.wait()
            await peer.send(OK)

    async with serve(script) as server:
        hop = Hop(server.url, limits=Limits(max_idle=3))
        assert await asyncio.gather(*(get(hop) for _ in range(4))) == [b"ok"] * 4
        assert (server.connections, hop.idle) == (4, 3)
        await until(lambda: hop.busy == 0)
        await hop.aclose()


async def test_repr_tells_the_state_and_no_secret() -> None:
    async with serve(echo_ok) as server:
        hop = Hop(server.url.replace("//", "//me:secret@"), headers=[(b"x-key", b"secret")])
        response = await hop.send(GET)
        assert repr(hop) == f"<Hop {server.url} idle=1 busy=0>"
        assert repr(response) == "<HopResponse 200 complete>"
        await hop.aclose()
        assert repr(hop) == f"<Hop {server.url} idle=0 busy=0 closed>"
        assert hop.url == server.url


# --- connections that die


def dying(end: Callable[[Peer], None], first_words: bytes = b"") -> tuple[Script, list[bytes]]:
    """Return a server whose first connection dies at its second request, and the requests that it has seen."""
    seen: list[bytes] = []
    connections = 0

    async def script(peer: Peer) -> None:
        nonlocal connections
        connections += 1
        mortal = connections == 1
        served = 0
        while request := await peer.request():
            seen.append(request)
            served += 1
            if mortal and served == 2:
                await peer.send(first_words)
                end(peer)
                return
            await peer.send(OK)

    return script, seen


ENDS = pytest.mark.parametrize("end", [Peer.close, Peer.reset], ids=["FIN", "RST"])


@ENDS
async def test_used_connection_that_turns_out_dead_is_replaced_without_a_word(end: Callable[[Peer], None]) -> None:
    script, seen = dying(end)
    async with serve(script) as server:
        hop = Hop(server.url)
        await get(hop)
        response = await hop.send(POST)
        assert await response.body(100) == b"ok"
        assert (server.connections, len(seen), seen[1]) == (2, 3, seen[2])
        await hop.aclose()


@ENDS
async def test_used_connection_that_dies_after_a_byte_of_the_answer_is_broken(end: Callable[[Peer], None]) -> None:
    script, seen = dying(end, b"H")
    async with serve(script) as server:
        hop = Hop(server.url)
        await get(hop)
        with pytest.raises(HostBroken):
            await hop.send(POST)
        assert (server.connections, len(seen)) == (1, 2)
        await hop.aclose()


@ENDS
async def test_fresh_connection_that_dies_is_broken_and_the_call_is_not_sent_again(end: Callable[[Peer], None]) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        end(peer)

    async with serve(script) as server:
        hop = Hop(server.url)
        with pytest.raises(HostBroken):
            await hop.send(GET)
        assert server.connections == 1
        await hop.aclose()


async def test_call_is_sent_again_once_only() -> None:
    answered = 0

    async def script(peer: Peer) -> None:
        nonlocal answered
        while await peer.request():
            answered += 1
            if answered > 2:
                return
            await both_here.wait()
            await peer.send(OK)

    both_here = asyncio.Barrier(2)
    async with serve(script) as server:
        hop = Hop(server.url)
        await asyncio.gather(get(hop), get(hop))
        with pytest.raises(HostBroken):
            await hop.send(GET)
        assert (server.connections, hop.idle) == (3, 1)
        await hop.aclose()


async def test_host_that_dies_of_a_call_is_broken_and_not_unreachable() -> None:
    script, _ = dying(Peer.close)
    async with serve(script) as server:
        hop = Hop(server.url)
        await get(hop)
        hop._origin = Hop("http://127.0.0.1:1")._origin  # whoever connects now is refused
        with pytest.raises(HostBroken, match="went away") as caught:
            await hop.send(GET)
        assert isinstance(caught.value.__cause__, HostUnreachable)
        await hop.aclose()


async def test_streamed_body_never_goes_over_a_used_connection() -> None:
    async with serve(echo_ok) as server:
        hop = Hop(server.url)
        await get(hop)
        response = await hop.send(Call(method="POST", target="/"), body=pieces(b"a"))
        assert await response.body(100) == b"ok"
        assert (server.connections, hop.idle) == (2, 2)
        await hop.aclose()


async def test_connection_that_the_host_closes_while_idle_is_let_go() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)

    async with serve(script) as server:
        hop = Hop(server.url)
        await get(hop)
        await until(lambda: hop.idle == 0)
        assert await get(hop) == b"ok"
        assert server.connections == 2
        await hop.aclose()


async def test_connection_that_is_about_to_be_lost_is_not_used() -> None:
    async with serve(echo_ok) as server:
        hop = Hop(server.url)
        await get(hop)
        hop._origin = Hop("http://127.0.0.1:1")._origin  # whoever connects now is refused
        hop._idle[0].eof_received()
        assert hop.idle == 1
        with pytest.raises(HostUnreachable):  # and not HostBroken, as when a host dies of a call
            await get(hop)
        await hop.aclose()


async def test_connection_on_which_the_host_speaks_unasked_is_let_go() -> None:
    closed = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await asyncio.sleep(0.02)
        await peer.send(OK)
        await peer.closed()
        closed.set()

    async with serve(script) as server:
        hop = Hop(server.url)
        await get(hop)
        await closed.wait()
        assert (hop.idle, hop.busy) == (0, 0)
        await hop.aclose()


async def test_idle_connection_is_closed_in_time() -> None:
    closed = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.closed()
        closed.set()

    async with serve(script) as server:
        hop = Hop(server.url, limits=Limits(keep_alive=0.2))
        await get(hop)
        assert hop.idle == 1
        await closed.wait()
        assert (hop.idle, hop.busy) == (0, 0)
        await hop.aclose()


# --- no connection


async def test_refused_connection_is_unreachable_and_only_the_detail_names_the_host() -> None:
    with unused() as port:
        hop = Hop(f"http://127.0.0.1:{port}")
        with pytest.raises(HostUnreachable, match="cannot be reached") as caught:
            await hop.send(GET)
        assert str(port) not in str(caught.value)
        assert str(port) in caught.value.detail
        assert isinstance(caught.value.__cause__, ConnectionRefusedError)
        assert (hop.idle, hop.busy) == (0, 0)
        await hop.aclose()


async def test_name_without_an_address_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(name: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("gateway.hop.pool.resolve", resolve)
    hop = Hop("http://nowhere.example")
    with pytest.raises(HostUnreachable) as caught:
        await hop.send(GET)
    assert "Name or service not known" in caught.value.detail
    await hop.aclose()


async def test_connection_that_is_gone_when_it_is_made_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    connection_made = Connection.connection_made

    def connection_made_and_ended(self: Connection, transport: asyncio.BaseTransport) -> None:
        connection_made(self, transport)
        self.eof_received()

    monkeypatch.setattr(Connection, "connection_made", connection_made_and_ended)
    async with serve(echo_ok) as server:
        hop = Hop(server.url)
        with pytest.raises(HostUnreachable) as caught:
            await hop.send(GET)
        assert "closed the connection at once" in caught.value.detail
        await hop.aclose()
        assert hop.busy == 0


async def test_cancelled_connecting_leaves_nothing_behind() -> None:
    with deaf() as port:
        hop = Hop(f"http://127.0.0.1:{port}")
        sending = asyncio.create_task(hop.send(GET))
        await asyncio.sleep(0.02)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert (hop.idle, hop.busy) == (0, 0)
        await hop.aclose()


# --- the end


async def test_aclose_ends_idle_and_busy_connections_at_once() -> None:
    ended = 0
    answered = 0

    async def script(peer: Peer) -> None:
        nonlocal answered, ended
        while await peer.request():
            answered += 1
            await both_here.wait()
            await peer.send(OK if answered == 2 else OK[:-1])
            answered += 1
        ended += 1

    both_here = asyncio.Barrier(2)
    async with serve(script) as server:
        hop = Hop(server.url)
        one, other = await asyncio.gather(hop.send(GET), hop.send(GET))
        assert (hop.idle, hop.busy) == (1, 1)
        cut = other if one.complete else one
        await hop.aclose()
        assert (hop.idle, hop.busy) == (0, 0)
        assert await cut.read() == b"o"
        with pytest.raises(HostBroken, match="The gateway closed"):
            await cut.read()
        await until(lambda: ended == 2)
        await hop.aclose()


async def test_nothing_can_be_sent_after_aclose() -> None:
    hop = Hop("http://127.0.0.1:1")
    await hop.aclose()
    with pytest.raises(HostUnreachable, match="no longer used"):
        await hop.send(GET)


async def test_connection_that_is_made_during_aclose_is_closed() -> None:
    async with serve(echo_ok) as server:
        hop = Hop(server.url)
        sending = asyncio.create_task(hop.send(GET))
        await asyncio.sleep(0)
        await hop.aclose()
        with pytest.raises(HostUnreachable, match="no longer used"):
            await sending
        await until(lambda: hop.busy == 0)

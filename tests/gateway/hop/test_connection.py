"""A connection without a socket: bytes go in by hand, and a transport of the tests notes what comes out."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.errors import HostBroken
from gateway.hop import HopResponse, Limits, Timeouts
from gateway.hop.answer import Answer
from gateway.hop.connection import Connection
from gateway.hop.request import Upload

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n"
LIMITS = Limits(high_water=100, max_header_bytes=1000)
TIMEOUTS = Timeouts()


class Transport(asyncio.Transport):
    """A transport that goes nowhere."""

    def __init__(self, protocol: asyncio.BaseProtocol) -> None:
        super().__init__()
        self._protocol = protocol
        self.written = b""
        self.unsent = 0
        self._reading = True
        self.closed = False
        self.options: list[tuple[int, ...]] = []

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self if name == "socket" else default

    def setsockopt(self, *option: int) -> None:
        self.options.append(option)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.written += b"".join(list_of_data)

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True

    def is_reading(self) -> bool:
        return self._reading

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)


class Bench:
    """A connection on a transport, with a call under way.

    Attributes:
        made: How often the connection was made.
        idle: How often the connection has become free.
        lost: How often it was lost.
    """

    def __init__(self) -> None:
        self.made = self.idle = self.lost = 0
        self.connection = Connection(LIMITS, self._on_made, self._on_idle, self._on_lost)
        self.transport = Transport(self.connection)
        self.connection.connection_made(self.transport)

    def _on_made(self, connection: Connection) -> None:
        self.made += 1

    def _on_idle(self, connection: Connection) -> None:
        self.idle += 1

    def _on_lost(self, connection: Connection) -> None:
        self.lost += 1

    async def send(self, timeouts: Timeouts = TIMEOUTS) -> tuple[Answer, asyncio.Task[None]]:
        """Send a request; return its answer and what waits for the header block."""
        answer = Answer("GET", LIMITS.max_header_bytes)
        exchange = self.connection.exchange(b"head ", b"body", answer, timeouts, asyncio.get_running_loop().time())
        task = asyncio.create_task(exchange)
        await asyncio.sleep(0)
        return answer, task

    async def answer(self, *segments: bytes) -> HopResponse:
        """Send a request and receive segments."""
        answer, exchange = await self.send()
        for segment in segments:
            self.connection.data_received(segment)
        await exchange
        return HopResponse(self.connection, answer)


async def test_what_one_socket_brought_outlives_what_the_next_one_brings() -> None:
    responses = []
    for text in (b"first", b"other"):
        bench = Bench()
        answer, exchange = await bench.send()
        data = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n" + text
        bench.connection.get_buffer(-1)[: len(data)] = data
        bench.connection.buffer_updated(len(data))
        await exchange
        responses.append(HopResponse(bench.connection, answer))

    assert [await response.body(100) for response in responses] == [b"first", b"other"]


async def test_request_is_written_at_once_and_the_header_block_ends_the_wait() -> None:
    bench = Bench()
    answer, exchange = await bench.send()
    assert bench.transport.written == b"head body"
    bench.connection.data_received(HEAD[:20])
    await asyncio.sleep(0)
    assert not exchange.done()
    bench.connection.data_received(HEAD[20:])
    await exchange
    assert (answer.status, answer.framed, bench.idle) == (200, True, 0)


async def test_socket_sends_without_delay_and_finds_out_about_hosts_that_are_gone() -> None:
    options = Bench().transport.options
    assert {(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)} <= set(options)


async def test_read_returns_all_that_has_arrived_and_waits_only_for_more() -> None:
    bench = Bench()
    response = await bench.answer(HEAD + b"ab", b"cd")
    assert await response.read() == b"abcd"
    reading = asyncio.create_task(response.read())
    await asyncio.sleep(0)
    bench.connection.data_received(b"efghij")
    assert await reading == b"efghij"
    assert [await response.read(), await response.read()] == [b"", b""]
    assert (bench.idle, bench.transport.closed) == (1, False)


async def test_host_is_paused_above_the_high_water_mark_until_all_is_read() -> None:
    bench = Bench()
    response = await bench.answer(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", b"x" * 50)
    assert bench.transport.is_reading()
    bench.connection.data_received(b"y" * 80)
    assert not bench.transport.is_reading()
    assert await response.read() == b"x" * 50 + b"y" * 80
    assert bench.transport.is_reading()
    bench.connection.data_received(b"z" * 80)
    assert bench.transport.is_reading()


async def test_connection_that_is_freed_while_paused_reads_again() -> None:
    bench = Bench()
    response = await bench.answer(b"HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\n", b"x" * 200)
    bench.connection.data_received(b"x" * 200)  # an event loop may have had it in its hands already
    assert (response.complete, bench.idle, bench.transport.is_reading()) == (True, 1, True)
    assert await response.body(400) == b"x" * 400


async def test_late_reader_of_a_finished_answer_does_not_let_the_host_go_on_with_the_next_one() -> None:
    bench = Bench()
    response = await bench.answer(HEAD + b"0123456789")
    await bench.answer(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", b"x" * 200)
    assert not bench.transport.is_reading()
    assert await response.read() == b"0123456789"
    assert not bench.transport.is_reading()


async def test_framing_alone_never_makes_the_host_wait_for_a_reader_who_has_nothing_to_read() -> None:
    bench = Bench()
    response = await bench.answer(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"2;" + b"e" * 500)
    assert bench.transport.is_reading()
    bench.connection.data_received(b"\r\nok\r\n0\r\n\r\n")
    assert await response.body(10) == b"ok"


async def test_request_that_is_not_wholly_sent_when_its_answer_ends_costs_the_connection() -> None:
    bench = Bench()
    bench.transport.unsent = 1
    response = await bench.answer(HEAD + b"0123456789")
    assert (response.complete, bench.made, bench.idle, bench.transport.closed) == (True, 1, 0, True)
    assert await response.read() == b"0123456789"


@pytest.mark.parametrize("more", [b"more", HEAD])
async def test_bytes_after_the_answer_cost_the_connection_and_not_the_answer(more: bytes) -> None:
    bench = Bench()
    response = await bench.answer(HEAD + b"0123456789" + more)
    assert (bench.idle, bench.transport.closed) == (0, True)
    assert await response.body(10) == b"0123456789"


@pytest.mark.parametrize("more", [b"\r\n", b"x", HEAD])
async def test_bytes_while_idle_cost_the_connection(more: bytes) -> None:
    bench = Bench()
    await bench.answer(HEAD + b"0123456789")
    bench.connection.data_received(more)
    assert bench.connection.closing
    await asyncio.sleep(0)
    assert (bench.idle, bench.lost) == (1, 1)


async def test_lost_connection_fails_the_answer_with_its_cause_after_what_had_arrived() -> None:
    bench = Bench()
    response = await bench.answer(HEAD + b"some")
    cause = ConnectionResetError("reset by peer")
    bench.connection.connection_lost(cause)
    assert await response.read() == b"some"
    for _ in range(2):
        with pytest.raises(HostBroken, match="cut before the end") as caught:
            await response.read()
        assert caught.value.__cause__ is cause
    assert (bench.lost, bench.connection._watch._timer) == (1, None)


async def test_every_piece_begins_the_limit_between_two_pieces_anew() -> None:
    bench = Bench()
    await bench.answer(HEAD)
    began = bench.connection._watch.since
    await asyncio.sleep(0.01)
    bench.connection.data_received(b"x")
    assert bench.connection._watch.since > began


async def test_limit_of_a_whole_call_ends_with_the_call() -> None:
    bench = Bench()
    _, exchange = await bench.send(Timeouts(total=0.1))
    bench.connection.data_received(HEAD + b"0123456789")
    await exchange
    await asyncio.sleep(0.15)
    assert (bench.idle, bench.transport.closed) == (1, False)


async def test_own_abort_is_never_taken_for_the_end_of_an_answer_without_framing() -> None:
    bench = Bench()
    response = await bench.answer(b"HTTP/1.1 200 OK\r\n\r\nsome")
    bench.connection.abort()
    await asyncio.sleep(0)
    assert await response.read() == b"some"
    with pytest.raises(HostBroken):
        await response.read()


async def test_end_of_an_answer_without_framing_is_its_end_and_the_connections() -> None:
    bench = Bench()
    response = await bench.answer(b"HTTP/1.1 200 OK\r\n\r\nsome")
    reading = asyncio.create_task(response.body(10))
    await asyncio.sleep(0)
    bench.connection.eof_received()
    assert await reading == b"some"
    assert (bench.idle, bench.lost, bench.transport.closed) == (0, 1, True)


async def test_reader_that_is_cancelled_as_its_answer_ends_does_not_touch_the_next_call() -> None:
    bench = Bench()
    response = await bench.answer(HEAD)
    reading = asyncio.create_task(response.read())
    await asyncio.sleep(0)
    bench.connection.data_received(b"0123456789")
    reading.cancel()
    _, exchange = await bench.send()
    with pytest.raises(asyncio.CancelledError):
        await reading
    bench.connection.data_received(HEAD)
    await exchange
    assert not bench.transport.closed
    bench.connection.abort()


async def test_source_that_ends_after_the_connection_was_lost_does_not_hide_why() -> None:
    bench = Bench()

    async def source() -> AsyncIterator[bytes]:
        yield b"first "
        bench.connection.connection_lost(ConnectionResetError())

    answer = Answer("POST", LIMITS.max_header_bytes)
    with pytest.raises(HostBroken, match="was cut"):
        await bench.connection.exchange(b"head ", Upload(source(), 100), answer, TIMEOUTS, 0.0)
    assert bench.transport.written == b"head first "


async def test_call_that_is_cancelled_while_its_source_lets_go_closes_the_connection() -> None:
    bench = Bench()

    async def source() -> AsyncIterator[bytes]:
        try:
            yield b"first "
            await asyncio.Event().wait()
        finally:
            letting_go.set()
            await asyncio.Event().wait()

    letting_go = asyncio.Event()
    answer = Answer("POST", LIMITS.max_header_bytes)
    exchange = bench.connection.exchange(b"head ", Upload(source(), 100), answer, TIMEOUTS, 0.0)
    sending = asyncio.create_task(exchange)
    await asyncio.sleep(0.01)
    bench.connection.data_received(HEAD)
    await letting_go.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert bench.transport.closed


async def test_nothing_of_an_upload_is_written_after_the_connection_was_lost() -> None:
    bench = Bench()

    async def source() -> AsyncIterator[bytes]:
        yield b"first "
        bench.connection.connection_lost(ConnectionResetError())
        yield b"second "

    answer = Answer("POST", LIMITS.max_header_bytes)
    with pytest.raises(HostBroken):
        await bench.connection.exchange(b"head ", Upload(source(), 100), answer, TIMEOUTS, 0.0)
    assert bench.transport.written == b"head first "


PARTS = [b"HTTP/1.1 200 OK\r\n", b"content-length: 4\r\n", b"transfer-encoding: chunked\r\n", b"\r\n", b"4\r\n", b"abcd",
         b"0\r\n", b"x: y\r\n", b"HTTP/1.1 100 Continue\r\n", b"\0", b":", b" ", b"\n", b"connection: close\r\n"]  # fmt: skip
wires = st.lists(st.one_of(st.sampled_from(PARTS), st.binary(max_size=8)), max_size=12).map(b"".join)


@given(wires, st.lists(st.integers(0, 200), max_size=6), st.booleans())
def test_any_bytes_end_in_an_answer_or_a_broken_host_and_nobody_waits_for_ever(
    wire: bytes, cuts: list[int], reset: bool
) -> None:
    edges = [0, *sorted(min(cut, len(wire)) for cut in cuts), len(wire)]
    segments = [wire[start:end] for start, end in pairwise(edges) if end > start]

    async def run() -> None:
        bench = Bench()
        answer, exchange = await bench.send()

        async def read() -> bytes | HostBroken:
            try:
                await exchange
                return await HopResponse(bench.connection, answer).body(1000)
            except HostBroken as error:
                return error

        reading = asyncio.create_task(read())
        for segment in segments:
            if not bench.transport.closed:
                bench.connection.data_received(segment)
                await asyncio.sleep(0)
        if not bench.transport.closed:
            if reset:
                bench.connection.connection_lost(ConnectionResetError())
            else:
                bench.connection.eof_received()
        async with asyncio.timeout(5):
            outcome = await reading
        assert isinstance(outcome, HostBroken) or (answer.complete and len(outcome) <= len(wire))

    asyncio.run(run())

"""The way of an upload: at the pace of the slowest host, for as long as it goes on, whole or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from contextlib import suppress
from math import inf

import pytest

from gateway.simulator import Simulator
from tests.running import Running, eventually, running

PIECE = b"0123456789abcdef" * 64
PIECES = 10
DATA = PIECE * PIECES


@pytest.fixture
async def hosts():
    async with Simulator() as one, Simulator() as two:
        yield [one, two]


def head(size: int | None, *headers: str, data: bytes = DATA) -> bytes:
    """Return the head of an upload; without a size its body is chunked."""
    framing = "transfer-encoding: chunked" if size is None else f"content-length: {size}"
    path = f"/api/blobs/sha256:{hashlib.sha256(data).hexdigest()}"
    return "\r\n".join((f"POST {path} HTTP/1.1", "host: localhost", framing, *headers, "", "")).encode()


def framed(piece: bytes, size: int | None) -> bytes:
    return piece if size is not None else b"%x\r\n%b\r\n" % (len(piece), piece)


class Caller:
    """A caller that sends what a test says."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, gateway: Running) -> Caller:
        return cls(*await asyncio.open_connection("127.0.0.1", gateway.port))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def status(self) -> int:
        """Return the status of the next answer."""
        answer = await self.reader.readuntil(b"\r\n\r\n")
        return int(answer.split(b" ", 2)[1])

    async def closed(self) -> None:
        """Wait until the gateway closes the connection."""
        with suppress(ConnectionError):
            assert await self.reader.read() == b""

    async def leave(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):  # the gateway may have been the first
            await self.writer.wait_closed()


def posts(host: Simulator) -> list[str | None]:
    """Return how the uploads to a host ended."""
    return [request.ended for request in host.requests if request.upload is not None]


SIZES = pytest.mark.parametrize("size", [len(DATA), None], ids=["with a length", "in chunks"])


@SIZES
async def test_it_may_take_longer_than_a_request_may_as_long_as_it_goes_on(hosts, size):
    async with running(*hosts, receive_timeout=0.3) as gateway:
        caller = await Caller.connect(gateway)
        await caller.send(head(size))
        for _ in range(PIECES):
            await asyncio.sleep(0.1)
            await caller.send(framed(PIECE, size))
        await caller.send(framed(b"", size))

        assert await caller.status() == 201
        await caller.leave()
    assert [len(host.stored) for host in hosts] == [1, 1]


@SIZES
async def test_one_that_stops_has_an_end_and_no_host_has_a_part_of_it(hosts, size):
    async with running(*hosts, receive_timeout=0.2) as gateway:
        caller = await Caller.connect(gateway)
        await caller.send(head(size) + framed(PIECE, size))

        assert await caller.status() == 408
        await eventually(lambda: [posts(host) for host in hosts] == [["cancelled"]] * 2)
        await caller.leave()
    assert [host.stored for host in hosts] == [{}, {}]


@SIZES
async def test_one_that_is_cut_leaves_no_part_of_it_at_any_host(hosts, size):
    async with running(*hosts) as gateway:
        caller = await Caller.connect(gateway)
        await caller.send(head(size) + framed(PIECE, size))
        await eventually(lambda: [posts(host) for host in hosts] == [[None]] * 2)
        await caller.leave()

        await eventually(lambda: [posts(host) for host in hosts] == [["cancelled"]] * 2)
        await caller.leave()
    assert [host.stored for host in hosts] == [{}, {}]


async def test_the_end_of_the_gateway_ends_it_everywhere(hosts):
    async with running(*hosts) as gateway:
        caller = await Caller.connect(gateway)
        await caller.send(head(len(DATA)) + PIECE)
        await eventually(lambda: [posts(host) for host in hosts] == [[None]] * 2)
        gateway.gateway.end_all()

        assert await caller.status() == 503
        await eventually(lambda: [posts(host) for host in hosts] == [["cancelled"]] * 2)
        await caller.leave()
    assert [host.stored for host in hosts] == [{}, {}]


async def test_a_host_that_dies_in_the_middle_drops_out(hosts):
    async with running(*hosts) as gateway:
        caller = await Caller.connect(gateway)
        await caller.send(head(len(DATA)) + PIECE)
        await eventually(lambda: [posts(host) for host in hosts] == [[None]] * 2)
        await hosts[0].kill()
        await caller.send(DATA[len(PIECE) :])

        assert await caller.status() == 502
        await caller.leave()
    assert [len(host.stored) for host in hosts] == [0, 1]


async def test_the_time_that_a_host_takes_is_not_the_callers(hosts):
    blob = bytes(20_000_000)
    async with running(*hosts, receive_timeout=0.2) as gateway:
        hosts[0].blob_bytes_per_second = 0
        caller = await Caller.connect(gateway)
        sending = asyncio.create_task(caller.send(head(len(blob), data=blob) + blob))
        await asyncio.sleep(0.6)
        assert not sending.done()
        hosts[0].blob_bytes_per_second = inf

        await sending
        assert await caller.status() == 201
        await caller.leave()
    assert [len(host.stored) for host in hosts] == [1, 1]


async def test_the_caller_is_held_back_by_the_slowest_host(hosts):
    """What lies between the caller and the host that takes nothing fits into the buffers of a few sockets."""
    async with running(*hosts) as gateway:
        hosts[0].blob_bytes_per_second = 0
        with socket.create_connection(("127.0.0.1", gateway.port)) as caller:
            caller.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(caller, head(10**12))
            sent = 0
            try:
                while True:
                    async with asyncio.timeout(1):
                        await loop.sock_sendall(caller, bytes(100_000))
                    sent += 100_000
                    assert sent < 100_000_000
            except TimeoutError:
                hosts[0].blob_bytes_per_second = inf  # or it would not be seen soon that the caller leaves
        await eventually(lambda: [posts(host) for host in hosts] == [["cancelled"]] * 2)
    assert [host.stored for host in hosts] == [{}, {}]


async def test_whoever_asks_before_it_sends_is_told_to_go_on(hosts):
    async with running(*hosts) as gateway:
        caller = await Caller.connect(gateway)
        await caller.send(head(len(DATA), "expect: 100-continue"))
        assert await caller.status() == 100
        await caller.send(DATA)
        assert await caller.status() == 201

        await caller.send(head(len(DATA), "expect: 100-continue"))
        assert await caller.status() == 200  # and the body need not come: everyone has it
        await caller.leave()


async def test_it_may_come_with_the_offer_of_another_protocol(hosts):
    async with running(*hosts) as gateway:
        caller = await Caller.connect(gateway)
        await caller.send(head(len(DATA), "connection: upgrade", "upgrade: h2c") + DATA)

        assert await caller.status() == 201
        await caller.leave()


async def test_the_rest_of_one_that_is_not_wanted_is_not_awaited_for_ever(hosts):
    async with asyncio.timeout(20), running(*hosts, receive_timeout=0.3) as gateway:
        assert (await gateway.client.post(head(1).split()[1].decode(), content=DATA)).status_code == 201
        caller = await Caller.connect(gateway)
        await caller.send(head(len(DATA)) + PIECE)
        assert await caller.status() == 200
        closed = asyncio.create_task(caller.closed())
        while not closed.done():
            await asyncio.sleep(0.02)
            caller.writer.write(b"x")
        await caller.leave()


@pytest.mark.parametrize("path", ["/api/chat", "/api/me", "/v1/chat/completions"])
async def test_the_time_of_other_requests_is_bounded_as_a_whole(hosts, path):
    async with running(*hosts, receive_timeout=0.3) as gateway:
        caller = await Caller.connect(gateway)
        await caller.send(head(len(DATA)) + DATA)
        assert await caller.status() == 201

        await caller.send(f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n".encode())
        answer = asyncio.create_task(caller.status())
        for _ in range(1000):
            if answer.done():
                break
            await caller.send(b" ")
            await asyncio.sleep(0.02)
        assert await answer == 408
        await caller.leave()

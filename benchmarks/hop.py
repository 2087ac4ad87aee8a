"""What the hop costs beside httpx2, and beside a socket without any HTTP.

`python -m benchmarks.hop` prints the CPU time of the client in microseconds. A request is a small POST with a small
answer over a connection that is kept. A piece is one token's line in a chunked answer: in bursts, as fast as the server
can write, or 20 ms apart on a hundred streams at once. The server is another process on the same core, because waking
another core costs more than all that is measured.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from multiprocessing.connection import Connection as Pipe
from typing import TypeAlias, cast

import httpx2
import uvloop

from adapters.types import Call
from gateway.hop import Hop

REQUESTS = 20_000
BURST = 50_000
STREAMS = 100
PACED = 100  # pieces a stream
PACE = 0.02

BODY = b'{"model":"llama3.2","messages":[{"role":"user","content":"Why is the sky blue?"}],"stream":true}'
LINE = b'{"model":"llama3.2","created_at":"2026-11-01T12:00:00Z","message":{"role":"assistant","content":" the"}}\n'
CHUNK = b"%x\r\n%b\r\n" % (len(LINE), LINE)
LAST_CHUNK = b"0\r\n\r\n"
SMALL = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(LINE), LINE)
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n"

Consume: TypeAlias = Callable[[str], Awaitable[None]]
"""Sends a request to a path and reads its answer to the end."""


class Server(asyncio.Protocol):
    """Answers as soon as it sees the path. The body may come with it or later."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer."""
        if b"POST /small" in data:
            self.transport.write(SMALL)
        elif b"POST /burst" in data:
            self.transport.write(STREAM)
            for _ in range(BURST):
                self.transport.write(CHUNK)
            self.transport.write(LAST_CHUNK)
        elif b"POST /paced" in data:
            self.transport.write(STREAM)
            self.write_paced(PACED)

    def write_paced(self, left: int) -> None:
        """Write one piece, and the next one later."""
        if left:
            self.transport.write(CHUNK)
            asyncio.get_running_loop().call_later(PACE, self.write_paced, left - 1)
        else:
            self.transport.write(LAST_CHUNK)


class Segments(asyncio.Protocol):
    """Waits for a segment that ends as an answer of the server does."""

    ended: asyncio.Future[None]

    def data_received(self, data: bytes) -> None:
        """Look at the end."""
        if data.endswith((LAST_CHUNK, SMALL)):
            self.ended.set_result(None)


@asynccontextmanager
async def open_socket(port: int) -> AsyncIterator[Consume]:
    """Give what consumes bytes without a look into them."""
    loop = asyncio.get_running_loop()
    idle: list[tuple[asyncio.Transport, Segments]] = []

    async def consume(path: str) -> None:
        transport, segments = idle.pop() if idle else await loop.create_connection(Segments, "127.0.0.1", port)
        segments.ended = loop.create_future()
        transport.write(b"POST %b HTTP/1.1\r\n\r\n%b" % (path.encode(), BODY))
        await segments.ended
        idle.append((transport, segments))

    yield consume
    for transport, _ in idle:
        transport.abort()


@asynccontextmanager
async def open_hop(port: int) -> AsyncIterator[Consume]:
    """Give what consumes answers over the hop."""
    hop = Hop(f"http://127.0.0.1:{port}")

    async def consume(path: str) -> None:
        call = Call(method="POST", target=path, headers=((b"content-type", b"application/json"),), body=BODY)
        response = await hop.send(call)
        try:
            while await response.read():
                pass
        finally:
            response.close()

    yield consume
    await hop.aclose()


@asynccontextmanager
async def open_httpx2(port: int) -> AsyncIterator[Consume]:
    """Give what consumes answers over httpx2, as it comes."""
    limits = httpx2.Limits(max_connections=None)
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", limits=limits, trust_env=False) as client:

        async def consume(path: str) -> None:
            headers = {"content-type": "application/json"}
            async with client.stream("POST", path, content=BODY, headers=headers) as response:
                async for _ in response.aiter_raw():
                    pass

        yield consume


WAYS: dict[str, Callable[[int], AbstractAsyncContextManager[Consume]]] = {
    "a socket without HTTP": open_socket,
    "hop": open_hop,
    "httpx2": open_httpx2,
}


async def measure(consume: Consume) -> tuple[float, float, float]:
    """Return CPU microseconds a request, a piece in bursts, and a piece in paced streams."""
    for _ in range(500):
        await consume("/small")
    began = time.process_time()
    for _ in range(REQUESTS):
        await consume("/small")
    small = time.process_time()
    await consume("/burst")
    burst = time.process_time()
    await asyncio.gather(*(consume("/paced") for _ in range(STREAMS)))
    paced = time.process_time()
    return (
        (small - began) * 1e6 / REQUESTS,
        (burst - small) * 1e6 / BURST,
        (paced - burst) * 1e6 / (STREAMS * PACED),
    )


async def compare(port: int) -> None:
    """Print the table."""
    print(f"{'CPU µs of the client':24}{'a request':>12}{'a piece, bursts':>18}{'a piece, paced':>18}")
    for name, way in WAYS.items():
        async with way(port) as consume:
            small, burst, paced = await measure(consume)
        print(f"{name:24}{small:12.1f}{burst:18.2f}{paced:18.1f}")


def serve(pipe: Pipe) -> None:
    """Serve until the process is ended, and tell the port."""

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(run())


def main() -> None:
    """Start the server, measure, and end the server."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    try:
        uvloop.run(compare(ours.recv()))
    finally:
        server.terminate()
        server.join()


if __name__ == "__main__":
    main()

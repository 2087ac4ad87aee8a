"""Raw servers for the tests: what goes over the wire is written out, byte for byte."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress

from adapters.types import Call

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
GET = Call(method="GET", target="/")
POST = Call(method="POST", target="/", body=b"{}")


class Peer:
    """A server's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def request(self) -> bytes:
        """Return the next request, header block and body; nothing when the client closed the connection."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        body = b""
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                body = await self._reader.readexactly(int(line.partition(b":")[2]))
            elif line == b"transfer-encoding: chunked":
                body = await self._reader.readuntil(b"0\r\n\r\n")
        return head + body

    async def receive(self, size: int) -> bytes:
        """Return up to `size` bytes; nothing when the client closed the connection."""
        with suppress(ConnectionError):
            return await self._reader.read(size)
        return b""

    async def send(self, data: bytes) -> None:
        """Write, and wait while the client takes nothing.

        Raises:
            ConnectionError: The client has closed the connection.
        """
        if self._writer.is_closing():  # asyncio says nothing then, and uvloop raises RuntimeError
            raise ConnectionResetError
        self._writer.write(data)
        await self._writer.drain()

    async def closed(self) -> None:
        """Wait until the client has closed the connection."""
        with suppress(ConnectionError):
            while await self._reader.read(65_536):
                pass

    def close(self) -> None:
        """End the connection as a server does that has said everything."""
        self._writer.close()

    def vanish(self) -> None:
        """End the connection without a last word: over TLS, without its close_notify."""
        self._writer.transport.abort()

    def reset(self) -> None:
        """End the connection as a crash does: with RST instead of FIN."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.vanish()


Script = Callable[[Peer], Awaitable[None]]
"""What a server does with one connection. When it returns, the connection is closed."""


class Server:
    """A listening server.

    Attributes:
        port: Where it listens on 127.0.0.1.
        connections: How many connections it has accepted.
    """

    def __init__(self, port: int, scheme: str) -> None:
        self.port = port
        self.connections = 0
        self._scheme = scheme

    @property
    def url(self) -> str:
        """Its URL by the name `localhost`, when it speaks TLS, else by its address."""
        return f"https://localhost:{self.port}" if self._scheme == "https" else f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def serve(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Run a script for every connection; what it raises fails the test, and so does waiting for ever."""
    tasks: list[asyncio.Task[None]] = []

    async def run(writer: asyncio.StreamWriter, peer: Peer) -> None:
        try:
            await script(peer)
        except ConnectionError:
            pass  # the client has gone
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        tasks.append(asyncio.create_task(run(writer, Peer(reader, writer))))

    listener = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    server = Server(listener.sockets[0].getsockname()[1], "http" if tls is None else "https")
    try:
        async with asyncio.timeout(30):
            yield server
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end


@contextmanager
def deaf() -> Iterator[int]:
    """Give a port where connections are never established: its queue of new ones is full, and stays so."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(address)
        yield address[1]


@contextmanager
def unused() -> Iterator[int]:
    """Give a port where nobody listens: it is taken, so that nobody else can."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


async def echo_ok(peer: Peer) -> None:
    """Answer every request with 200, over and over."""
    while await peer.request():
        await peer.send(OK)


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    """Give a body piece by piece."""
    for piece in data:
        yield piece


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that other tasks bring about."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)

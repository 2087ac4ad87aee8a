"""Small web servers on this machine, and names that mean what a test says."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from gateway.config import ImageSettings
from gateway.images.fetching import Fetcher
from tests.gateway.hop.servers import Peer

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(64))

Page = bytes | Callable[[Peer], Awaitable[None]]
"""What a server answers, byte for byte, or does."""


def ok(body: bytes, *headers: bytes) -> bytes:
    """Return the answer with this body."""
    lines = [b"HTTP/1.1 200 OK", b"content-length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def redirect(location: str, status: int = 302) -> bytes:
    """Return the answer that leads elsewhere."""
    return b"HTTP/1.1 %d Moved\r\nlocation: %b\r\ncontent-length: 0\r\n\r\n" % (status, location.encode())


class Web:
    """A web server.

    Attributes:
        host: The address on which it listens.
        port: Its port there.
        pages: What it answers, by path; anything else is not found. A test may add to it.
        requests: The requests that came, up to their bodies.
        connections: How many connections were made.
        open: How many of them are open.
    """

    def __init__(self, host: str, port: int, scheme: str) -> None:
        self.host = host
        self.port = port
        self.pages: dict[str, Page] = {"/cat.png": ok(PNG)}
        self.requests: list[bytes] = []
        self.connections = 0
        self.open = 0
        self._scheme = scheme

    def url(self, path: str = "/cat.png", name: str = "") -> str:
        """Return the URL of a page, by the address or by a name."""
        return f"{self._scheme}://{name or self.host}:{self.port}{path}"

    @property
    def asked(self) -> list[str]:
        """The paths that were asked for."""
        return [request.split()[1].decode() for request in self.requests]

    async def answer(self, peer: Peer) -> None:
        """Answer the requests of one connection."""
        while request := await peer.request():
            self.requests.append(request)
            page = self.pages.get(request.split()[1].decode(), b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
            if callable(page):
                return await page(peer)
            await peer.send(page)
        return None


@asynccontextmanager
async def serving(host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> AsyncIterator[Web]:
    """Serve on this machine; what a page raises fails the test."""
    tasks: list[asyncio.Task[None]] = []

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        web.open += 1
        try:
            await web.answer(Peer(reader, writer))
        except ConnectionError:
            pass  # the client has gone
        finally:
            web.open -= 1
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        web.connections += 1
        tasks.append(asyncio.create_task(run(reader, writer)))

    listener = await asyncio.start_server(accept, host, 0, ssl=tls)
    web = Web(host, listener.sockets[0].getsockname()[1], "http" if tls is None else "https")
    try:
        async with asyncio.timeout(30):
            yield web
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end


class Names:
    """Looks names up in a table.

    Attributes:
        table: The addresses of each name; a list of such lists is gone through, one a look-up.
        asked: The names that were looked up.
    """

    def __init__(self, **table: list[Any]) -> None:
        self.table = {name.replace("_", "."): answers for name, answers in table.items()}
        self.asked: list[str] = []

    async def __call__(self, name: str) -> list[str]:
        self.asked.append(name)
        answers = self.table.get(name)
        if answers is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return answers.pop(0) if isinstance(answers[0], list) else answers


@asynccontextmanager
async def fetching(
    *allow: str, names: Names | None = None, context: ssl.SSLContext | None = None, **settings: Any
) -> AsyncIterator[Fetcher]:
    """Give what fetches from where it is allowed."""
    fetcher = Fetcher(ImageSettings(fetch=True, allow=allow, **settings), resolve=names, context=context)
    try:
        yield fetcher
    finally:
        await fetcher.close()

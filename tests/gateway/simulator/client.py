"""An HTTP client for the tests of the simulator that shows what really came over the socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct


class Received(Struct, kw_only=True):
    """An answer as it came.

    Attributes:
        status: The HTTP status; 0 when no status line came.
        headers: The headers in order.
        pieces: The chunks of a chunked body, else the body in one piece, else nothing.
        ended: How it ended: as its framing says, by a close before that, by a reset, or because we left.
    """

    status: int = 0
    headers: list[tuple[str, str]] = []
    pieces: list[bytes] = []
    ended: str = "complete"

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def frames(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines()]

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self.reader = reader
        self.writer = writer
        self._host = host

    @classmethod
    async def connect(cls, url: str) -> Client:
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=2**26)
        return cls(reader, writer, parts.netloc)

    async def send(self, method: str, path: str, body: bytes = b"", headers: Iterable[tuple[str, str]] = ()) -> None:
        given = list(headers)
        if not any(name.lower() == "host" for name, _ in given):
            given.insert(0, ("Host", self._host))
        if body or method == "POST":
            given.append(("Content-Length", str(len(body))))
        head = "".join(f"{name}: {value}\r\n" for name, value in given)
        self.writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        await self.writer.drain()

    async def receive(self, method: str = "GET", *, most: int | None = None) -> Received:
        """Read one answer, or the first pieces of it."""
        received = Received()
        try:
            await self._head(received)
            async with asyncio.timeout(None):
                await self._body(received, method, most)
        except asyncio.IncompleteReadError as error:
            received.ended = "close"
            if error.partial:
                received.pieces.append(error.partial)
        except ConnectionResetError:
            received.ended = "reset"
        return received

    async def _head(self, received: Received) -> None:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        received.status = int(status.split()[1])
        received.headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]

    async def _body(self, received: Received, method: str, most: int | None) -> None:
        if method == "HEAD" or received.status == 204:
            return
        if (length := received.header("Content-Length")) is not None:
            if body := await self.reader.readexactly(int(length)):
                received.pieces.append(body)
            return
        if received.header("Transfer-Encoding") is None:
            received.pieces.append(await self.reader.read())
            return
        while most is None or len(received.pieces) < most:
            size = int((await self.reader.readuntil(b"\r\n")).strip(), 16)
            chunk = await self.reader.readexactly(size + 2)
            if not size:
                return
            received.pieces.append(chunk[:-2])
        received.ended = "left"

    def close(self) -> None:
        self.writer.close()


async def ask(
    url: str,
    method: str,
    path: str,
    body: Any = None,
    *,
    headers: Sequence[tuple[str, str]] = (),
    most: int | None = None,
) -> Received:
    """Send one request over a connection of its own and return the answer.

    A body that is no bytes is sent as JSON. With `most` the connection is closed after so many pieces.
    """
    client = await Client.connect(url)
    try:
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        try:
            await client.send(method, path, data, headers)
        except ConnectionResetError:
            return Received(ended="reset")
        return await client.receive(method, most=most)
    finally:
        client.close()


async def chat(url: str, text: str = "hi", *, model: str = "demo", **more: Any) -> Received:
    """Ask a model something."""
    body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
    return await ask(url, "POST", "/api/chat", body)

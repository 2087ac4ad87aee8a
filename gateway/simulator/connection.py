"""One connection of a simulator: requests in, answers out, and the moment at which the client leaves."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING, Any, cast

import httptools

from gateway.simulator.incoming import SimulatedRequest
from gateway.simulator.uploads import Upload, is_upload

if TYPE_CHECKING:
    from gateway.simulator.simulator import Simulator

_BAD_REQUEST = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request"
)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_LINGER = 0.5
"""Seconds until a connection whose client still sends is closed: so it reads the answer before it meets a reset."""


class Connection(asyncio.Protocol):
    """Speaks HTTP/1.1 with one client. Requests are answered one after the other."""

    def __init__(self, simulator: Simulator, number: int) -> None:
        self.number = number
        self._simulator = simulator
        self._parser: Any = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._writable = asyncio.Event()
        self._writable.set()
        self._waiting: deque[tuple[SimulatedRequest, bool]] = deque()
        self._target = b""
        self._headers: list[tuple[str, str]] = []
        self._body: list[bytes] = []
        self._upload: Upload | None = None
        self._task: asyncio.Task[None] | None = None
        self._left = False
        self._stopped = False

    # --- what asyncio calls -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)
        self._simulator.connected(self)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        try:
            # A client that asks for another protocol is answered in this one, as by Go's server.
            with contextlib.suppress(httptools.HttpParserUpgrade):
                self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._write(_BAD_REQUEST)
            self.close()

    def eof_received(self) -> bool:
        """See `asyncio.Protocol`. A client that has said its last word is gone, as for Go's server."""
        self._leave()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._leave()
        self._writable.set()
        self._simulator.disconnected(self)

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._writable.set()

    # --- what the parser calls ----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._target, self._headers, self._body, self._upload = b"", [], [], None

    def on_url(self, url: bytes) -> None:
        """Take a part of the target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        """Ask for the body where the client waits to be asked. A request with a blob is answered from here on."""
        expected = any(name.lower() == "expect" and value.lower() == "100-continue" for name, value in self._headers)
        if is_upload(self._parser.get_method(), self._target):
            self._upload = Upload(self._transport, _CONTINUE if expected else b"")
            self._line_up()
        elif expected:
            self._write(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if self._upload is not None:
            self._upload.feed(body)
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """Line the request up."""
        if self._upload is not None:
            self._upload.end()
        else:
            self._line_up()

    def _line_up(self) -> None:
        request = SimulatedRequest(
            method=self._parser.get_method().decode("ascii"),
            target=self._target.decode("latin-1"),
            headers=self._headers,
            body=b"".join(self._body),
            connection=self.number,
            upload=self._upload,
        )
        self._waiting.append((request, self._parser.should_keep_alive()))
        if self._task is None:
            self._task = asyncio.create_task(self._serve())

    # --- answering ----------------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        try:
            while self._waiting and not self._transport.is_closing():
                request, keep_alive = self._waiting.popleft()
                await self._answer(request, keep_alive=keep_alive)
        except Exception:
            self.reset()  # a defect of the simulator must not look like a slow host
            raise
        finally:
            self._task = None

    async def _answer(self, request: SimulatedRequest, *, keep_alive: bool) -> None:
        try:
            async with contextlib.aclosing(self._simulator.answer(request, keep_alive=keep_alive)) as steps:
                async for step in steps:
                    match step:
                        case bytes():
                            self._write(step)
                            await self._writable.wait()
                        case "close" if request.upload is not None and not request.upload.ended:
                            self._transport.write_eof()
                            asyncio.get_running_loop().call_later(_LINGER, self.close)
                        case "close":
                            self.close()
                        case "reset":
                            self.reset()
                        case "hang":
                            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if self._left:
                self._simulator.abandoned(request)
            raise

    def _write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def _leave(self) -> None:
        """Notice that the client is gone: whatever runs for it ends at once."""
        self._left = not self._stopped
        if self._task is not None:
            self._task.cancel()

    def close(self) -> None:
        """Close the connection after what was written has been sent."""
        self._transport.close()

    def reset(self) -> None:
        """Close the connection with a TCP reset, as when a process is killed."""
        original = self._transport.get_extra_info("socket")
        if original.fileno() >= 0:
            # An event loop may not let us set the option on its own socket object, so it is set on a second one.
            with socket.socket(fileno=os.dup(original.fileno())) as second:
                second.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def stop(self) -> None:
        """End the connection and what runs over it. That does not count as the client's doing."""
        self._stopped = True
        if self._task is not None:
            self._task.cancel()
        self._transport.abort()

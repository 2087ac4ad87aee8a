"""One connection to a host, carrying one call at a time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import cast

from adapters.errors import HostBroken, HostError, HostTimeout
from gateway.hop.answer import Answer
from gateway.hop.limits import Limits, Timeouts
from gateway.hop.request import Upload
from gateway.hop.watch import Phase, Watch

_SMALL = 65_536
"""Bytes of a body that are cheaper to copy than to hand over apart from their header block."""

READ_SIZE = 512 * 1024
"""The most bytes that are read from a socket at once: the vectors of many texts."""

_BUFFER = memoryview(bytearray(READ_SIZE))
"""Where every socket is read into: what a read has brought is used up before the next one begins. Without it an event
loop would copy what it read once more, only for the parser to take it apart.
"""

_TOO_LONG: dict[Phase, str] = {
    "upload": "The host took nothing of the request's body for {:g} seconds.",
    "first_byte": "The host did not begin its answer within {:g} seconds.",
    "between": "The host stopped in the middle of its answer: nothing came for {:g} seconds.",
    "total": "The host did not finish its answer within {:g} seconds.",
}

_SOCKET_OPTIONS = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
if hasattr(socket, "TCP_KEEPIDLE"):
    # A host that lost its power says nothing, and neither does one that thinks for minutes. Probes tell them apart:
    # the connection fails a minute after the host is gone, instead of at the limit for the first byte.
    _SOCKET_OPTIONS += [
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    ]


class Connection(asyncio.BufferedProtocol):
    """A socket with the answer that is expected on it.

    While `_answer` is None the connection is idle and the host has nothing to say. As soon as an answer is whole the
    connection is free for the next one; whoever reads the answer has it without the connection.

    Args:
        limits: What the connection may hold.
        on_made: Called once, when the connection is there.
        on_idle: Called when the connection is free for another call.
        on_lost: Called once, when the socket is closed.
    """

    def __init__(
        self,
        limits: Limits,
        on_made: Callable[[Connection], None],
        on_idle: Callable[[Connection], None],
        on_lost: Callable[[Connection], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._limits = limits
        self._forsaken = False
        self._on_made = on_made
        self._on_idle = on_idle
        self._on_lost = on_lost
        self._watch = Watch(self._loop, self._on_expired)
        self._answer: Answer | None = None
        self._request_sent = True
        self._between: float | None = None
        self._unread = 0  # bytes that arrived since the reader last took something, framing included
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None  # while the socket takes nothing
        self._transport: asyncio.Transport

    @property
    def closing(self) -> bool:
        """Whether the connection can carry no further call."""
        return self._transport.is_closing()

    async def exchange(
        self, head: bytes, body: bytes | Upload, answer: Answer, timeouts: Timeouts, began: float
    ) -> None:
        """Send a request and wait until `answer` has its header block.

        Args:
            head: The request's header block.
            body: The request's body.
            answer: Where the answer goes.
            timeouts: How long this may take.
            began: When the call began, by the loop's clock.

        Raises:
            HostError: There will be no answer.
            InvalidRequest: The streamed body does not have its announced length.
        """
        self._answer = answer
        self._between = timeouts.between
        self._unread = 0
        self._watch.begin_call(began, timeouts.total)
        if isinstance(body, Upload):
            self._transport.write(head)
            await self._exchange_streamed(body, answer, timeouts)
        else:
            if len(body) < _SMALL:
                self._transport.write(head + body)
            else:
                self._transport.writelines((head, body))
            self._watch.begin("first_byte", timeouts.first_byte)
            while not answer.head_complete:
                await self.progress(answer)
        if self._answer is answer and not self._paused:
            self._watch.begin("between", self._between)

    async def progress(self, answer: Answer) -> None:
        """Wait until something happens to `answer`, the one that this connection carries.

        Raises:
            HostError: Nothing more will happen.
        """
        if answer.failure is not None:
            raise answer.failure
        if self._waiter is not None:
            raise RuntimeError("Two tasks read the same answer.")
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        except asyncio.CancelledError:
            self.abandon(answer)
            raise

    def taken(self, answer: Answer) -> None:
        """Note that all that had arrived of `answer` was taken, and let the host go on if it was made to wait."""
        if self._answer is not answer:
            return  # the answer has ended, and the connection may be another call's by now
        self._unread = 0
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
            self._watch.begin("between", self._between)

    def abandon(self, answer: Answer) -> None:
        """Close the socket at once, if it still carries `answer`. By now it may carry another call's, or be idle."""
        if self._answer is answer:
            self._fail(answer, HostBroken("The gateway closed the connection to the host in the middle of an answer."))

    def abort(self) -> None:
        """Close the socket at once, whatever it carries."""
        if self._answer is not None:
            self.abandon(self._answer)
        self._transport.abort()

    def forsake(self) -> None:
        """Nobody waits for this connection any more: close it, now or when it comes to be."""
        self._forsaken = True
        self._watch.stop()
        if hasattr(self, "_transport"):
            self._transport.abort()

    # What follows is called by the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)
        if self._forsaken:
            transport.abort()  # type: ignore[attr-defined]
            return
        sock = transport.get_extra_info("socket")
        for option in _SOCKET_OPTIONS:
            sock.setsockopt(*option)
        self._on_made(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the socket is read into."""
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read."""
        self.data_received(_BUFFER[:nbytes])

    def data_received(self, data: bytes | memoryview) -> None:
        """Read a part of the answer. Whatever comes when none is expected ends the connection."""
        answer = self._answer
        if answer is None:
            self._transport.abort()
            return
        try:
            answer.feed(data)
        except HostBroken as error:
            self._fail(answer, error)
            return
        if answer.complete:
            self._release(answer)
        elif answer.head_complete:
            self._watch.since = self._loop.time()
            self._unread += len(data)
            if self._unread > self._limits.high_water and answer.pieces:
                self._paused = True
                self._transport.pause_reading()
                self._watch.begin("paused", None)
        self._wake()

    def eof_received(self) -> None:
        """Take the host's word that nothing more comes. Over TLS, a socket that just ends does not get here."""
        answer = self._answer
        if answer is not None:
            try:
                answer.feed_eof()
            except HostBroken as error:
                self._fail(answer, error)
            else:
                self._answer = None
                self._wake()
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything."""
        answer = self._answer
        if answer is not None:
            error = HostBroken(
                "The connection to the host was cut before the end of its answer.", detail=str(exc or "")
            )
            error.__cause__ = exc
            self._fail(answer, error)
        self._watch.stop()
        self._on_lost(self)

    def pause_writing(self) -> None:
        """The socket takes nothing for now."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """The socket takes more."""
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    # --- the course of a call

    async def _exchange_streamed(self, upload: Upload, answer: Answer, timeouts: Timeouts) -> None:
        """Send a body until it ends or an answer is there, whichever is first."""
        self._request_sent = False
        sending = self._loop.create_task(self._send(upload, answer, timeouts))
        sending.add_done_callback(lambda _: self._wake())
        try:
            try:
                while not answer.head_complete:
                    if sending.done():
                        sending.result()
                    await self.progress(answer)
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
        except BaseException:
            self.abandon(answer)
            raise

    async def _send(self, upload: Upload, answer: Answer, timeouts: Timeouts) -> None:
        self._watch.begin("upload", None)  # the body's source has its own time limits
        async for piece in upload.pieces:
            if self._answer is not answer:
                return
            self._transport.write(upload.encode(piece))
            if self._writable is not None:
                self._watch.begin("upload", timeouts.between)
                await self._writable
                self._watch.begin("upload", None)
        if self._answer is answer:
            self._transport.write(upload.encode_end())
            self._request_sent = True
            self._watch.begin("first_byte", timeouts.first_byte)

    def _release(self, answer: Answer) -> None:
        """Give the connection back after a whole answer, or close it if it has to be."""
        self._answer = None
        if not (answer.reusable and self._request_sent) or self._transport.get_write_buffer_size():
            self._transport.abort()
            return
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        self._watch.begin_call(0.0, None)
        self._watch.begin("idle", self._limits.keep_alive)
        self._on_idle(self)

    def _fail(self, answer: Answer, error: HostError) -> None:
        """End the answer with an error and close the socket at once, so that the host stops working on it."""
        answer.failure = error
        self._answer = None
        self._wake()
        self._transport.abort()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _on_expired(self, phase: Phase, seconds: float) -> None:
        if self._answer is None:
            self._transport.abort()
        else:
            self._fail(self._answer, HostTimeout(_TOO_LONG[phase].format(seconds)))

"""All connections to one host."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ssl as tls
from collections.abc import AsyncIterable, Sequence
from math import inf

from adapters.errors import HostBroken, HostUnreachable, OutOfDescriptors
from adapters.types import Call
from gateway.hop.answer import Answer
from gateway.hop.connection import Connection
from gateway.hop.dial import race, resolve
from gateway.hop.limits import Limits, Timeouts
from gateway.hop.origin import parse_origin
from gateway.hop.request import RequestEncoder, Upload
from gateway.hop.response import HopResponse

_DEFAULT_TIMEOUTS = Timeouts()
_DEFAULT_LIMITS = Limits()
_CLOSED = "The host is no longer used."
_NO_DESCRIPTORS = "The gateway has no room for another connection. Try again in a moment."
_FAREWELL = 1.0  # seconds
_UNREACHABLE = "A model host cannot be reached."


class Hop:
    """Sends calls to one host over connections that are kept and used again. Belongs to one event loop.

    Args:
        url: Where the host listens, such as `http://box:11434`, `http://[::1]:11434` or, behind a proxy,
            `https://user:password@box/ollama`. User and password become an Authorization header.
        headers: Headers that go with every call and replace the call's own of the same name.
        ssl: Which certificates to trust for https; the system's when None.
        timeouts: How long calls may take, unless `send` is told otherwise.
        limits: What a connection may hold.

    Raises:
        ValueError: The URL or a header is malformed.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Sequence[tuple[bytes, bytes]] = (),
        ssl: tls.SSLContext | None = None,
        timeouts: Timeouts = _DEFAULT_TIMEOUTS,
        limits: Limits = _DEFAULT_LIMITS,
    ) -> None:
        self._origin = parse_origin(url)
        self._encoder = RequestEncoder(self._origin, headers)
        self._tls = (ssl or tls.create_default_context()) if self._origin.scheme == "https" else None
        self._timeouts = timeouts
        self._limits = limits
        self._open: set[Connection] = set()
        self._idle: list[Connection] = []  # the one used last is at the end
        self._closed = False
        self._emptied = asyncio.Event()

    @property
    def url(self) -> str:
        """Where the host listens, without user and password."""
        return str(self._origin)

    @property
    def idle(self) -> int:
        """The number of connections that wait for a call."""
        return len(self._idle)

    @property
    def busy(self) -> int:
        """The number of connections that carry a call."""
        return len(self._open) - len(self._idle)

    def __repr__(self) -> str:
        return f"<Hop {self._origin} idle={self.idle} busy={self.busy}{' closed' if self._closed else ''}>"

    async def send(
        self,
        call: Call,
        *,
        body: AsyncIterable[bytes] | None = None,
        body_length: int | None = None,
        timeouts: Timeouts | None = None,
    ) -> HopResponse:
        """Send a call and wait for the header block of its final answer.

        A connection that was used before may have been closed by the host in the meantime. When it turns out so before
        any byte of an answer, the call is sent once more, over a fresh connection. A streamed body cannot be sent twice
        and therefore always gets a fresh connection.

        Cancelling it closes the connection.

        Args:
            call: What to send.
            body: A body that is streamed in place of the call's. An answer that comes before its end stops it.
            body_length: How many bytes that is, if known; without it the body is sent chunked.
            timeouts: How long this call may take.

        Raises:
            HostUnreachable: No connection; the host has seen nothing of the call.
            OutOfDescriptors: The process may not open another socket.
            HostTimeout: The answer did not begin in time.
            HostBroken: The connection was cut, or what came over it makes no sense.
            InvalidRequest: The call has a character that would change its meaning, or the streamed body does not have
                its announced length.
            ValueError: The call brings a header that is the connection's business.
        """
        timeouts = timeouts or self._timeouts
        upload = None if body is None else Upload(body, body_length)
        head = self._encoder.encode(call, upload)
        if self._closed:
            raise HostUnreachable(_CLOSED, detail=self.url)
        began = asyncio.get_running_loop().time()
        reused = self._take_idle() if upload is None else None
        if reused is not None:
            answer = Answer(call.method, self._limits.max_header_bytes)
            try:
                await reused.exchange(head, call.body, answer, timeouts, began)
            except HostBroken:
                if answer.started:
                    raise
            else:
                return HopResponse(reused, answer)
        try:
            connection = await self._connect(timeouts, began)
        except HostUnreachable as exc:
            if reused is None:
                raise
            # The host has seen the call, and perhaps died of it.
            raise HostBroken("The host went away before it answered.", detail=exc.detail) from exc
        answer = Answer(call.method, self._limits.max_header_bytes)
        await connection.exchange(head, call.body if upload is None else upload, answer, timeouts, began)
        return HopResponse(connection, answer)

    async def aclose(self) -> None:
        """Close all connections at once, the busy ones too, and wait until they are. No call can be sent afterwards."""
        self._closed = True
        for connection in tuple(self._open):
            connection.abort()
        if self._open:
            # To wait is a courtesy to the event loop's end; nothing may keep the process alive.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FAREWELL):
                    await self._emptied.wait()

    def _take_idle(self) -> Connection | None:
        """Return the idle connection that was used last, if there is one."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.closing:
                return connection
        return None

    async def _connect(self, timeouts: Timeouts, began: float) -> Connection:
        rest = inf if timeouts.total is None else began + timeouts.total - asyncio.get_running_loop().time()
        limit = min(inf if timeouts.connect is None else timeouts.connect, rest)
        try:
            async with asyncio.timeout(None if limit == inf else limit):
                connection = await race(await resolve(self._origin.name, self._origin.port), self._connect_to)
        except TimeoutError as exc:
            raise HostUnreachable(_UNREACHABLE, detail=f"{self.url}: no connection within {limit:g} s") from exc
        except OSError as exc:
            if exc.errno in (errno.EMFILE, errno.ENFILE):
                raise OutOfDescriptors(_NO_DESCRIPTORS, detail="raise the limit: ulimit -n") from exc
            raise HostUnreachable(_UNREACHABLE, detail=f"{self.url}: {exc}") from exc
        if connection.closing:  # over TLS the host may have closed it by now
            raise HostUnreachable(_UNREACHABLE, detail=f"{self.url}: the host closed the connection at once")
        if self._closed:
            connection.abort()
            raise HostUnreachable(_CLOSED, detail=self.url)
        return connection

    async def _connect_to(self, address: str) -> Connection:
        connection = Connection(self._limits, self._open.add, self._on_idle, self._on_lost)
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: connection,
                address,
                self._origin.port,
                ssl=self._tls,
                server_hostname=None if self._tls is None else self._origin.name.partition("%")[0],
            )
        except BaseException:
            # uvloop closes the socket of a cancelled attempt without telling the protocol that it is lost.
            connection.forsake()
            self._on_lost(connection)
            raise
        return connection

    def _on_idle(self, connection: Connection) -> None:
        if self._closed or len(self._idle) >= self._limits.max_idle:
            connection.abort()
        else:
            self._idle.append(connection)

    def _on_lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if self._closed and not self._open:
            self._emptied.set()

"""The HTTP server: uvicorn, with an end to what callers may keep it waiting for. uvicorn enters through this module."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import re
import socket
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from adapters.errors import BodyTimeout, CallerLeft, GatewayError, HeadersTooLarge, InvalidRequest
from gateway.log import log

if sys.platform != "win32":
    import resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from uvicorn._types import ASGI3Application

    from gateway.app import Gateway
    from gateway.config import Settings

MAX_HEADER = 64 * 1024
"""The most bytes of a request's line and headers that are waited for."""

LINGER = 1.0
"""Seconds that what a caller still sends is thrown away after its request was refused."""


_KEPT = 16 * 1024 * 1024
"""Bytes of freed memory that the C library keeps for what comes next. By default glibc keeps so little of it that each
large answer gets its memory from the system page by page, which takes longer than all that is done to the answer. It
learns: what it keeps is twice the largest block that was freed, up to 64 MB (mallopt(3), M_MMAP_THRESHOLD).
"""


_SMALL = 65_536
"""Bytes of an answer that are cheaper to copy than to hand over apart from their head."""


_SITE = re.compile(rb"\A[a-z][a-z0-9+.-]*://[^/?]*", re.IGNORECASE)
"""What stands before the path in a whole URL."""


class Departure:
    """What a connection and whoever answers its requests tell each other of an end before the answer is whole.

    Attributes:
        gone: Why there is nobody to answer any more, once it is so.
        tell: Called with why, when it becomes so; None while nobody wants to know.
        cut: To be called when the rest of an answer will never come: it ends the connection.
        unhurried: Whether the body may take as long as it likes: who reads it sees to it that it goes on.
    """

    __slots__ = ("cut", "gone", "tell", "unhurried")

    def __init__(self, cut: Callable[[], None]) -> None:
        self.cut = cut
        self.gone: GatewayError | None = None
        self.tell: Callable[[GatewayError], None] | None = None
        self.unhurried = False

    def leave(self) -> None:
        """The connection is lost."""
        self.cut = _nothing  # it refers to the connection as the connection does to this
        self.gone = CallerLeft("The caller closed the connection before the answer was whole.")
        if self.tell is not None:
            self.tell(self.gone)


def _nothing() -> None:
    pass


class _Joined:
    """A caller's connection for one answer. It holds back the head until the first piece comes: one write, not two."""

    __slots__ = ("_begun", "_head", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        self._begun = False

    def write(self, data: bytes) -> None:
        if not self._begun and not data.startswith(b"HTTP/1.1 100"):
            self._begun = True
            self._head = data
        elif self._head:
            if len(data) < _SMALL:
                self._transport.write(self._head + data)
            else:
                self._transport.writelines((self._head, data))
            self._head = b""
        else:
            self._transport.write(data)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        if self._head:
            self._transport.write(self._head)
        self._transport.close()


class _Body:
    """Reads the body of one request for a connection, and nothing else."""

    def __init__(self, protocol: Protocol) -> None:
        self.on_body = protocol.on_body
        self.on_message_complete = protocol.on_message_complete


class Protocol(HttpToolsProtocol):
    """A caller's connection.

    uvicorn waits for ever for headers, takes any number of them, and waits for ever for a body that nobody reads and
    for a caller that reads nothing. Here each of these has an end. And it forgets the body of a request that asks to go
    on with another protocol, which some clients do by default (`Upgrade: h2c`, RFC 9110 7.8).
    """

    patience = 60.0
    """Seconds for a request's headers to arrive, for its body to arrive, and for a caller to take what is sent.

    Only a body whose reader measures its progress instead (`Departure.unhurried`) may take longer.
    """

    refused: Callable[[GatewayError, str], bytes]
    """Takes note of a request that is refused before it is one, by its path as far as that is known; returns the whole
    answer to it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.url = b""
        self._awaited = 0  # bytes of a header that is not whole yet; -1 when none is awaited
        self._begun = False  # whether a header began within the bytes that are being read
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._departure = Departure(self._cut)
        self._answered: RequestResponseCycle | None = None
        self._closing = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self.resume_writing()
        super().connection_lost(exc)
        if self._answered is not None:  # uvicorn tells the request that came last, which may still wait for its turn
            self._answered.disconnected = True
        self._departure.leave()

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        self._begun = False
        self._unset_keepalive_if_required()
        try:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                self._go_on(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            ours = error.__context__  # when it was one of the methods below that refused
            self._refuse(
                ours if isinstance(ours, GatewayError) else InvalidRequest("The request is not valid HTTP/1.1.")
            )
        if self._awaited < 0:
            cycle = self._answered
            if self._timer is None and cycle is not None and cycle.more_body and not self.transport.is_closing():
                self._wait()  # for the rest of the body
            return
        if self.transport.is_closing():
            return
        if not self._begun:
            self._awaited += len(data)
        if self._awaited > MAX_HEADER:
            self._refuse(HeadersTooLarge(f"The request's headers are larger than {MAX_HEADER} bytes."))
        elif self._timer is None:
            self._wait()

    def on_message_begin(self) -> None:
        self._begun = self._awaited < 0
        self._awaited = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if not self.url.startswith((b"/", b"*")):
            # It names a host of its own beside the Host header, which is the one that is checked.
            raise InvalidRequest("A whole URL is asked for, as of a proxy, which this is not. Ask for the path alone.")
        self._awaited = -1
        if self._timer is not None:
            self._stop_waiting()
        self.scope["departure"] = self._departure  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return  # only the parser thinks so; `_go_on` knows better
        if self._timer is not None:
            self._stop_waiting()
        super().on_message_complete()
        # uvicorn stops reading while much of a body lies unread, and goes on when somebody asks for more of it. Nobody
        # asks when all is there, and without reading nothing tells that the caller leaves.
        if not self.pipeline:
            self.flow.resume_reading()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answered = cycle
        if cycle.scope["method"] != "HEAD":  # after whose head nothing comes
            cycle.transport = _Joined(self.transport)  # type: ignore[assignment]
        super()._start_asgi_task(cycle, app)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(self.patience, self.transport.abort)

    def resume_writing(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        super().resume_writing()

    def _go_on(self, rest: bytes) -> None:
        """Read the body of a request whose wish for another protocol is not granted; it is the last of its connection.

        The parser takes what follows such a request for the other protocol. A new one is told of a request with the
        same body, and reads on.
        """
        self.cycle.keep_alive = False
        framing = [
            name + b": " + value + b"\r\n"
            for name, value in self.headers
            if name in (b"content-length", b"transfer-encoding")
        ]
        self.parser = httptools.HttpRequestParser(_Body(self))
        self.parser.feed_data(b"POST / HTTP/1.1\r\n" + b"".join(framing) + b"\r\n" + rest)

    def _wait(self) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(self.patience, self._give_up)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        late = BodyTimeout(f"The request did not arrive within {self.patience:g} seconds.")
        if self._awaited > 0:
            self._refuse(late)
        elif self._awaited < 0 and self._departure.tell is not None:
            if not self._departure.unhurried:
                self._departure.tell(late)  # its body is awaited by whoever answers it
        else:
            self.transport.close()  # nothing was asked, or the body of what was refused does not end

    def _cut(self) -> None:
        """End the connection in the middle of an answer. uvicorn takes it as if the caller had left, and is content."""
        if self._answered is not None:
            self._answered.disconnected = True
            self._answered.transport.close()

    def _refuse(self, error: GatewayError) -> None:
        """End the connection with an answer, unless another answer is being given on it."""
        self._closing = True
        self._awaited = -1
        self._stop_waiting()
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            if cycle.response_started:
                self.transport.close()
                return
            cycle.disconnected = True  # whoever was to answer need not
            cycle.message_event.set()
        self.transport.write(self.refused(error, _path(self.url)))
        # To close at once, with bytes of the request unread, would make the caller's system throw the answer away.
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER, self.transport.close)


def _path(url: bytes) -> str:
    """Return the path of what is asked for, of which a host may stand before it, and the end be missing."""
    return unquote(_SITE.sub(b"", url).partition(b"?")[0].decode("latin-1"))


class Server(uvicorn.Server):
    """Serves a gateway until it is told to stop, then lets running answers finish.

    The first SIGTERM or SIGINT (Ctrl-C) stops new work; a second one ends running answers, each with an error that says
    so, as the end of the grace period does; a third one drops everything.
    """

    def __init__(self, gateway: Gateway, settings: Settings) -> None:
        super().__init__(
            uvicorn.Config(
                gateway.app,
                http=type(
                    "GatewayProtocol",
                    (Protocol,),
                    {"patience": settings.receive_timeout, "refused": staticmethod(gateway.refused)},
                ),
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=int(settings.grace) + 5,
            )
        )
        self._gateway = gateway
        self._grace = settings.grace
        self._signals = 0
        logging.getLogger("uvicorn").setLevel(logging.WARNING)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        # What was made so far stays, and requests leave hardly any cycles: to look for them often is CPU for nothing.
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 50)
        bytes(_KEPT // 2)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        log("stopping", running=len(self.server_state.tasks), grace_s=self._grace, hint="a second signal ends them now")
        timer = self._loop.call_later(self._grace, self._gateway.end_all)
        await super().shutdown(sockets)
        timer.cancel()
        log("stopped")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._signals += 1
        self.should_exit = True
        if self._signals == 2:
            self._loop.call_soon_threadsafe(self._gateway.end_all)
        self.force_exit = self._signals > 2


def allow_many_connections() -> None:
    """Let this process have as many files and sockets open as the system allows it; most give a process 1,024."""
    if sys.platform != "win32":
        now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = min(most, 1 << 20) if most != resource.RLIM_INFINITY else 1 << 20
        # macOS names a hard limit that it does not grant; what it grants by default is enough to go on with.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(now, wanted), most))


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        OSError: The address is not this machine's, the port is taken, or not allowed.
    """
    listener = socket.socket(
        socket.AF_INET6 if ":" in host else socket.AF_INET,
        socket.SOCK_STREAM,
        socket.IPPROTO_TCP,  # asyncio turns Nagle's algorithm off only for sockets that say that they are TCP
    )
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener

"""The HTTP server: uvicorn, with an end to what callers may keep it waiting for. uvicorn enters through this module."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import sys
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from adapters.errors import BodyTimeout, GatewayError, HeadersTooLarge, InvalidRequest
from adapters.openai.errors import encode_error
from gateway.log import log

if sys.platform != "win32":
    import resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from gateway.app import Gateway
    from gateway.config import Settings

MAX_HEADER = 64 * 1024
"""The most bytes of a request's line and headers that are waited for."""

LINGER = 1.0
"""Seconds that what a caller still sends is thrown away after its request was refused."""

REASONS = {400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large"}


class Departure:
    """Tells whoever answers a request of a connection that the caller has left.

    Attributes:
        gone: Whether the connection is lost.
        tell: Called when it is lost; None while nobody wants to know.
    """

    __slots__ = ("gone", "tell")

    def __init__(self) -> None:
        self.gone = False
        self.tell: Callable[[], None] | None = None

    def leave(self) -> None:
        """The connection is lost."""
        self.gone = True
        if self.tell is not None:
            self.tell()


class Protocol(HttpToolsProtocol):
    """A caller's connection.

    uvicorn waits for ever for headers, takes any number of them, and waits for ever for a caller that reads nothing.
    Here each of these has an end.
    """

    patience = 60.0
    """Seconds for a request's headers to arrive, and for a caller to take what is sent to it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._awaited = 0  # bytes of a header that is not whole yet; -1 when none is awaited
        self._header_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._departure = Departure()
        self._refused: bool = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._header_timer = self.loop.call_later(self.patience, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_header_timer()
        self.resume_writing()
        super().connection_lost(exc)
        self._departure.leave()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        super().data_received(data)
        if self._awaited < 0 or self.transport.is_closing():
            return
        self._awaited += len(data)
        if self._awaited > MAX_HEADER and not self._refused:
            self._refuse(HeadersTooLarge(f"The request's headers are larger than {MAX_HEADER} bytes."))
        elif self._header_timer is None:
            self._header_timer = self.loop.call_later(self.patience, self._give_up)

    def on_message_begin(self) -> None:
        self._awaited = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._awaited = -1
        self._stop_header_timer()
        self.scope["departure"] = self._departure  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(self.patience, self.transport.abort)

    def resume_writing(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP. uvicorn would do so in plain text."""
        self._refuse(InvalidRequest("The request is not valid HTTP/1.1."))

    def _stop_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _give_up(self) -> None:
        self._header_timer = None
        if self._awaited:
            self._refuse(BodyTimeout(f"The request's headers did not arrive within {self.patience:g} seconds."))
        else:
            self.transport.close()  # nothing was asked, so nothing is answered

    def _refuse(self, error: GatewayError) -> None:
        body = encode_error(error)
        head = (
            f"HTTP/1.1 {error.status} {REASONS[error.status]}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self._stop_header_timer()
        # To close at once, with bytes of the request unread, would make the caller's system throw the answer away.
        self._refused = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER, self.transport.close)


class Server(uvicorn.Server):
    """Serves a gateway until it is told to stop, then lets running answers finish.

    The first SIGTERM or SIGINT (Ctrl-C) stops new work; a second one ends running answers, each with an error that says
    so, as the end of the grace period does; a third one drops everything.
    """

    def __init__(self, gateway: Gateway, settings: Settings) -> None:
        super().__init__(
            uvicorn.Config(
                gateway.app,
                http=type("PatientProtocol", (Protocol,), {"patience": settings.receive_timeout}),
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
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        # What was made so far stays, and requests leave hardly any cycles: to look for them often is CPU for nothing.
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 50)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        log("stopping", running=len(self.server_state.tasks), grace_s=self._grace)
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
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


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

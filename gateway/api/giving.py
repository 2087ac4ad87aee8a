"""The way of an answer to its caller: whole or as server-sent events, with an end whatever happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from adapters.errors import CallerLeft, GatewayError
from gateway.api.answering import JSON, Headers, host_headers, reply, request_id, told
from gateway.api.ending import Ending
from gateway.choices import Source

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from starlette.types import Scope, Send

    from gateway.record import Record

Batch = TypeVar("Batch")
_Given = TypeVar("_Given", covariant=True)
_Taken = TypeVar("_Taken", contravariant=True)

WHOLE: Headers = [JSON]

SSE: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


class Pieces(Source, Protocol[_Given]):
    """What makes the answer piece by piece."""

    async def next(self) -> _Given:
        """Return the next pieces."""


class Encoder(Protocol[_Taken]):
    """Makes bytes of the pieces."""

    @property
    def ended(self) -> bool:
        """Whether nothing follows any more."""

    def encode(self, events: _Taken, /) -> bytes:
        """Return the bytes for the next pieces."""

    def fail(self, error: GatewayError) -> bytes:
        """Return the bytes that end the answer with an error."""


class Giving:
    """Surrounds the work on one answer, in the task that does it.

    What goes wrong before the answer has begun is raised; later the answer itself tells of it. Whatever happens, the
    hosts are let go.

    Args:
        scope: The request.
        running: Where it can be found while the work goes on.
        send: The channel to the caller.

    Attributes:
        source: What makes the answer, as soon as there is something to let go of.
    """

    __slots__ = ("_encoder", "_ending", "_record", "_send", "source")

    def __init__(self, scope: Scope, running: set[Ending], send: Send) -> None:
        self._ending = Ending(scope, running)
        self._record: Record = scope["record"]
        self._send = send
        self._encoder: Encoder[Any] | None = None
        self.source: Source | None = None

    async def whole(self, body: bytes, ignored: Sequence[str], form: Headers = WHOLE, *, status: int = 200) -> None:
        """Send a whole answer, in the form that these headers say."""
        await reply(self._send, self._record, status, body, [*form, *answer_headers(self._record, ignored)])

    async def stream(
        self,
        source: Pieces[Batch],
        batch: Batch,
        encoder: Encoder[Batch],
        ignored: Sequence[str],
        form: Headers = SSE,
    ) -> None:
        """Send the first pieces of an answer, and all that follow, in the form that these headers say."""
        send, record = self._send, self._record
        headers = [*form, *answer_headers(record, ignored), request_id(record)]
        record.status = 200
        self._encoder = encoder
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        data = encoder.encode(batch)
        while not encoder.ended:
            await send({"type": "http.response.body", "body": data, "more_body": True})
            data = encoder.encode(await source.next())
        await send({"type": "http.response.body", "body": data})

    async def __aenter__(self) -> Self:
        self._ending.__enter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        try:
            try:
                self._ending.__exit__(kind, error, trace)
            except GatewayError as reason:
                error = reason
            if error is None:
                await self._settle()
                return True
            if self._encoder is None or isinstance(error, CallerLeft) or not isinstance(error, Exception):
                raise error
            await self._fail(self._encoder, told(error, self._record))
            return True
        finally:
            self._close()

    async def _settle(self) -> None:
        source = self.source
        if source is not None and not source.settled:
            self._record.answered()
            await source.settle()

    async def _fail(self, encoder: Encoder[Any], error: GatewayError) -> None:
        self._close()  # before the caller is told, which takes as long as the caller takes
        self._record.error = error
        await self._send({"type": "http.response.body", "body": encoder.fail(error)})

    def _close(self) -> None:
        if self.source is not None:
            self.source.close()


def answer_headers(record: Record, ignored: Sequence[str]) -> Headers:
    """Return what the headers of an answer say about how it came to be."""
    headers = host_headers(record)
    if ignored:
        headers.append((b"x-gateway-ignored", ", ".join(ignored).encode()))
    return headers

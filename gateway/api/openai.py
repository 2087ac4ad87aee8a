"""OpenAI's endpoints."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from msgspec.structs import replace

from adapters.errors import CallerLeft
from adapters.ollama.names import canonical
from adapters.openai.chat import AnswerEncoder, Head, StreamEncoder, decode_request
from adapters.openai.models import ListedModel, encode_model, encode_models
from adapters.types import Failure, Finish
from gateway.api.answering import JSON, Headers, reply, request_id, told
from gateway.api.body import read_body
from gateway.api.ending import Ending
from gateway.exchange import Exchange

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from adapters.errors import GatewayError
    from adapters.types import Event
    from gateway.catalogue import Catalogue
    from gateway.config import Settings
    from gateway.fleet import Fleet
    from gateway.record import Record

SSE: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


class ChatCompletions:
    """`POST /v1/chat/completions`."""

    def __init__(self, settings: Settings, fleet: Fleet, catalogue: Catalogue, running: set[Ending]) -> None:
        self._settings = settings
        self._fleet = fleet
        self._catalogue = catalogue
        self._running = running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record: Record = scope["record"]
        record.route = "chat"
        answer: _Stream | None = None
        exchange: Exchange | None = None
        try:
            with Ending(scope, self._running):
                body = await read_body(scope, receive, limit=self._settings.max_body)
                request = decode_request(body)
                record.asked, record.user, record.stream = request.model, request.user, request.stream
                exchange = Exchange(self._fleet, self._catalogue, request, record)
                events = await exchange.open()
                if request.stream:
                    answer = _Stream(exchange, record, send)
                    await answer.send_all(events)
                else:
                    await _send_whole(events, exchange, record, send)
            if not exchange.settled:
                record.answered()
                await exchange.settle()
        except Exception as error:
            if answer is None or isinstance(error, CallerLeft):
                raise
            answer.stop_host()  # before the caller is told, which takes as long as the caller takes
            await answer.fail(told(error, record))
        finally:
            if exchange is not None:
                exchange.close()


class _Stream:
    """An answer that is sent as its events come."""

    def __init__(self, exchange: Exchange, record: Record, send: Send) -> None:
        self._exchange = exchange
        self._record = record
        self._send = send
        self._encoder = StreamEncoder(_head(exchange, record), include_usage=exchange.request.include_usage)

    async def send_all(self, events: list[Event]) -> None:
        """Send the first events, and all that follow."""
        send, encoder, exchange = self._send, self._encoder, self._exchange
        headers = [*SSE, *_headers(exchange, self._record), request_id(self._record)]
        self._record.status = 200
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        while not isinstance(events[-1], Finish | Failure):
            await send({"type": "http.response.body", "body": encoder.encode(events), "more_body": True})
            events = await exchange.next()
        await send({"type": "http.response.body", "body": encoder.encode(events)})

    def stop_host(self) -> None:
        """Nothing more is wanted of the host."""
        self._exchange.close()

    async def fail(self, error: GatewayError) -> None:
        """End with an error that the gateway itself has."""
        self._record.error = error
        await self._send({"type": "http.response.body", "body": self._encoder.fail(error)})


async def _send_whole(events: list[Event], exchange: Exchange, record: Record, send: Send) -> None:
    encoder = AnswerEncoder(_head(exchange, record))
    encoder.feed(events)
    await reply(send, record, 200, encoder.encode(), [JSON, *_headers(exchange, record)])


class Models:
    """`GET /v1/models`: every model of every healthy host, and every alias of one."""

    def __init__(self, fleet: Fleet, catalogue: Catalogue) -> None:
        self._fleet = fleet
        self._catalogue = catalogue

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record: Record = scope["record"]
        record.route = "models"
        await reply(send, record, 200, encode_models(list(listed(self._fleet, self._catalogue).values())), [JSON])


class Model:
    """`GET /v1/models/{id}`: one of them, by any spelling of its name."""

    def __init__(self, fleet: Fleet, catalogue: Catalogue) -> None:
        self._fleet = fleet
        self._catalogue = catalogue

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record: Record = scope["record"]
        record.route = "model"
        record.asked = asked = scope["path_params"]["model"]
        model = listed(self._fleet, self._catalogue).get(canonical(asked))
        if model is None:
            raise self._catalogue.not_found(asked, self._fleet.names())
        await reply(send, record, 200, encode_model(model), [JSON])


def listed(fleet: Fleet, catalogue: Catalogue) -> dict[str, ListedModel]:
    """Return the models that callers can use, aliases included, by canonical name."""
    models: dict[str, ListedModel] = {}
    for key, places in fleet.models().items():
        newest = max((model for _, model in places), key=lambda model: model.modified)
        models[key] = ListedModel(
            id=newest.name,
            created=min(model.modified for _, model in places),
            context_length=newest.context_length,
        )
    for alias in catalogue.aliases:
        target = models.get(catalogue.key(alias))
        if target is not None:
            models[canonical(alias)] = replace(target, id=alias)
    return models


def _head(exchange: Exchange, record: Record) -> Head:
    request = exchange.request
    return Head(
        id=f"chatcmpl-{record.token}",
        created=int(time.time()),
        model=request.model,
        fingerprint=f"fp_{exchange.digest[:12]}" if exchange.digest else None,
        metadata=request.metadata,
    )


def _headers(exchange: Exchange, record: Record) -> Headers:
    """Return what the headers of an answer say about how it came to be."""
    headers = [(b"x-gateway-host", record.host.encode()), (b"x-gateway-route", record.why.encode())]
    if exchange.request.ignored:
        headers.append((b"x-gateway-ignored", ", ".join(exchange.request.ignored).encode()))
    return headers

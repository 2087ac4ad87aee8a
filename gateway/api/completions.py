"""`POST /v1/completions`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from msgspec.structs import replace

from adapters.openai.completions import (
    AnswerEncoder,
    ChoicesStreamEncoder,
    Head,
    StreamEncoder,
    decode_request,
    split_choices,
    total_usage,
)
from gateway import routing
from gateway.api.body import read_body
from gateway.api.endpoint import Endpoint
from gateway.api.giving import Giving
from gateway.api.several import give_several
from gateway.exchange import Exchange

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from adapters.openai.completions import Completion
    from gateway.record import Record


class Completions(Endpoint):
    """`POST /v1/completions`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record: Record = scope["record"]
        record.route = "completions"
        async with Giving(scope, self._running, send) as giving:
            body = await read_body(scope, receive, limit=self._settings.max_body)
            completion = decode_request(body, most=self._settings.max_choices)
            request = completion.request
            record.asked, record.user, record.stream = request.model, request.user, request.stream
            if len(completion.prompts) == completion.best_of == 1:
                await self._give_one(giving, completion, record)
            else:
                await self._give_choices(giving, completion, record)

    async def _give_one(self, giving: Giving, completion: Completion, record: Record) -> None:
        giving.source = exchange = Exchange(self._fleet, self._catalogue, completion.request, record)
        events = await exchange.open()
        head = _head(completion, record, exchange.digest)
        ignored = exchange.request.ignored
        if completion.request.stream:
            await giving.stream(exchange, events, StreamEncoder(head, completion), ignored)
        else:
            whole = AnswerEncoder(head, completion)
            whole.feed(events)
            await giving.whole(whole.encode(), ignored)

    async def _give_choices(self, giving: Giving, completion: Completion, record: Record) -> None:
        request = completion.request
        # A seed of the configuration must differ from choice to choice.
        key = self._catalogue.key(request.model)
        requests = split_choices(replace(completion, request=self._catalogue.apply(key, request)))
        spread = routing.spread(self._fleet.candidates(key))
        parts = [record.part(place) for place in range(len(requests))]

        def streamed(digest: str) -> ChoicesStreamEncoder:
            return ChoicesStreamEncoder(_head(completion, record, digest), completion)

        await give_several(
            giving,
            record,
            [
                Exchange(self._fleet, self._catalogue, one, part, wanted=spread.digest, prefer=spread.host)
                for one, part in zip(requests, parts, strict=True)
            ],
            parts,
            room=lambda: routing.room(self._fleet.candidates(key), spread),
            total=lambda usages: total_usage(usages, completion),
            streamed=streamed if request.stream else None,
            whole=lambda digest: AnswerEncoder(_head(completion, record, digest), completion),
        )


def _head(completion: Completion, record: Record, digest: str) -> Head:
    return Head(
        id=f"cmpl-{record.token}",
        created=int(time.time()),
        model=completion.request.model,
        fingerprint=f"fp_{digest[:12]}" if digest else None,
    )

"""`POST /v1/embeddings`."""

from __future__ import annotations

import asyncio
from functools import partial, reduce
from typing import TYPE_CHECKING

from msgspec.structs import replace

from adapters.accounting import add
from adapters.openai.embeddings import AnswerEncoder, decode_request
from gateway import batch
from gateway.api.body import read_body
from gateway.api.endpoint import Endpoint
from gateway.api.giving import Giving
from gateway.exchange import Exchange
from gateway.tokens import Detokenizer

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from adapters.openai.embeddings import EmbeddingsRequest
    from adapters.types import EmbedRequest
    from gateway.api.ending import Ending
    from gateway.batch import Plan
    from gateway.catalogue import Catalogue
    from gateway.config import Settings
    from gateway.fleet import Fleet
    from gateway.record import Record


class Embeddings(Endpoint):
    """`POST /v1/embeddings`."""

    def __init__(self, settings: Settings, fleet: Fleet, catalogue: Catalogue, running: set[Ending]) -> None:
        super().__init__(settings, fleet, catalogue, running)
        self._detokenizer = Detokenizer()
        self._shared: set[str] = set()  # models of which hosts share a batch at this moment

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record: Record = scope["record"]
        record.route = "embeddings"
        async with Giving(scope, self._running, send) as giving:
            body = await read_body(scope, receive, limit=self._settings.max_body)
            asked = decode_request(body)
            request = asked.request
            record.asked, record.user = request.model, request.user
            if asked.tokens:
                request = await self._with_texts(asked)
            encoder = AnswerEncoder(request.model, base64=asked.base64)
            plan = self._plan(request)
            if len(plan.parts) == 1:
                await self._give_at_once(giving, request, encoder, record, plan)
            else:
                await self._give_in_parts(giving, request, encoder, record, plan)

    def _plan(self, request: EmbedRequest) -> Plan:
        """Return how a batch is split. Of those that come together the first one gets the idle hosts."""
        key = self._catalogue.key(request.model)
        return batch.plan(request.inputs, self._fleet.candidates(key), shared=key not in self._shared)

    async def _with_texts(self, asked: EmbeddingsRequest) -> EmbedRequest:
        texts, room = [], self._settings.max_body
        for each in asked.tokens:
            text = await self._detokenizer.text(each.ids, param=each.param, most=room)
            texts.append(text)
            room -= len(text.encode())
        return replace(asked.request, inputs=tuple(texts))

    async def _give_at_once(
        self, giving: Giving, request: EmbedRequest, encoder: AnswerEncoder, record: Record, plan: Plan
    ) -> None:
        giving.source = exchange = Exchange(self._fleet, self._catalogue, request, record, wanted=plan.digest)
        encoder.feed(await exchange.open())
        await giving.whole(encoder.encode(), exchange.request.ignored)

    async def _give_in_parts(
        self, giving: Giving, request: EmbedRequest, encoder: AnswerEncoder, record: Record, plan: Plan
    ) -> None:
        accounts = [record.part(place) for place in range(len(plan.parts))]
        exchanges: list[Exchange] = []

        def ask(place: int, host: str) -> Exchange:
            part = replace(request, inputs=request.inputs[plan.parts[place]])
            exchanges.append(
                Exchange(self._fleet, self._catalogue, part, accounts[place], wanted=plan.digest, prefer=host)
            )
            return exchanges[-1]

        shared = {self._catalogue.key(request.model)} if len(plan.hosts) > 1 else set()
        self._shared |= shared
        try:
            answers = await batch.ask_all(plan, ask)
        finally:
            self._shared -= shared
            record.gather(accounts, partial(reduce, add))
        for events in answers:
            encoder.feed(events)
            await asyncio.sleep(0)  # a large part takes milliseconds; other callers have their turn in between
        ignored = dict.fromkeys(field for exchange in exchanges for field in exchange.request.ignored)
        await giving.whole(encoder.encode(), tuple(ignored))

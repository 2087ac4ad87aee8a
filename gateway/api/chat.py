"""`POST /v1/chat/completions`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from adapters import accounting
from adapters.emulation import Emulation, is_needed
from adapters.openai.chat import (
    AnswerEncoder,
    ChoicesStreamEncoder,
    Head,
    StreamEncoder,
    decode_request,
    split_choices,
)
from gateway import routing, schema
from gateway.api.body import read_body
from gateway.api.endpoint import Endpoint
from gateway.api.giving import Giving
from gateway.api.several import give_several
from gateway.exchange import Exchange
from gateway.images import has_remote
from gateway.routing import Spread
from gateway.sequel import Sequel

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from adapters.types import ChatRequest
    from gateway.api.ending import Ending
    from gateway.catalogue import Catalogue
    from gateway.choices import Answer
    from gateway.config import Settings
    from gateway.fleet import Fleet
    from gateway.images import Images
    from gateway.record import Account, Record


_ANYWHERE = Spread()


class ChatCompletions(Endpoint):
    """`POST /v1/chat/completions`."""

    def __init__(
        self, settings: Settings, fleet: Fleet, catalogue: Catalogue, running: set[Ending], images: Images
    ) -> None:
        super().__init__(settings, fleet, catalogue, running)
        self._images = images

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record: Record = scope["record"]
        record.route = "chat"
        async with Giving(scope, self._running, send) as giving:
            body = await read_body(scope, receive, limit=self._settings.max_body)
            request = decode_request(body, most_choices=self._settings.max_choices)
            record.asked, record.user, record.stream = request.model, request.user, request.stream
            if request.n == 1:
                await self._give_one(giving, request, record)
            else:
                await self._give_choices(giving, request, record)

    async def _give_one(self, giving: Giving, request: ChatRequest, record: Record) -> None:
        giving.source = answer = self._answer(request, record, _ANYWHERE)
        events = await answer.open()
        head = _head(request, record, answer.digest)
        if request.stream:
            encoder = StreamEncoder(head, include_usage=request.include_usage)
            await giving.stream(answer, events, encoder, answer.request.ignored)
        else:
            whole = AnswerEncoder(head)
            whole.feed(events)
            await giving.whole(whole.encode(), answer.request.ignored)

    async def _give_choices(self, giving: Giving, request: ChatRequest, record: Record) -> None:
        key = self._catalogue.key(request.model)
        request = self._catalogue.apply(key, request)  # a seed of the configuration must differ from choice to choice
        spread = routing.spread(self._fleet.candidates(key))
        parts = [record.part(place) for place in range(request.n)]

        def streamed(digest: str) -> ChoicesStreamEncoder:
            return ChoicesStreamEncoder(_head(request, record, digest), request.n, include_usage=request.include_usage)

        await give_several(
            giving,
            record,
            [self._answer(one, part, spread) for one, part in zip(split_choices(request), parts, strict=True)],
            parts,
            room=lambda: routing.room(self._fleet.candidates(key), spread),
            total=accounting.choices,
            streamed=streamed if request.stream else None,
            whole=lambda digest: AnswerEncoder(_head(request, record, digest), request.n),
        )

    def _answer(self, request: ChatRequest, account: Account, spread: Spread) -> Answer:
        """Return the answer to a chat: an exchange, unless more is demanded than one exchange can give."""
        if not is_needed(request):
            return self._ask(request, account, spread)
        check = schema.problem if self._catalogue.checks_schemas(request.model) else None
        emulation = Emulation(request, check=check, call_id=lambda place: f"call_{account.token}_{place}")
        return Sequel(self._ask, emulation, account, spread)

    def _ask(self, request: ChatRequest, account: Account, spread: Spread) -> Exchange:
        return Exchange(
            self._fleet,
            self._catalogue,
            request,
            account,
            wanted=spread.digest,
            prefer=spread.host,
            prepare=self._images.fetch if has_remote(request) else None,
        )


def _head(request: ChatRequest, record: Record, digest: str) -> Head:
    return Head(
        id=f"chatcmpl-{record.token}",
        created=int(time.time()),
        model=request.model,
        fingerprint=f"fp_{digest[:12]}" if digest else None,
        metadata=request.metadata,
        legacy_functions=request.legacy_functions,
    )

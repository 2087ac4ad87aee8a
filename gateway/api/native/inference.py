"""`POST /api/chat`, `/api/generate`, `/api/embed`, `/api/embeddings` and `/api/show`: asked of the host that fits best.

The answer is the host's own, byte for byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.errors import HostAnswer
from adapters.ollama.native.relay import RelayEncoder, whole
from adapters.ollama.native.request import EMBED, EMBEDDINGS, decode_request, encode_request
from adapters.types import Finish
from gateway.api.body import read_body
from gateway.api.endpoint import Endpoint
from gateway.api.giving import Giving
from gateway.batch import weights
from gateway.exchange import Exchange
from gateway.hop import Timeouts
from gateway.log import log
from gateway.management.asking import ask_each

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from adapters.errors import GatewayError
    from adapters.ollama.native.request import NativeRequest
    from gateway.api.answering import Headers
    from gateway.record import Record

_VECTORS = frozenset({EMBED, EMBEDDINGS})
"""Where the answers to several requests are compared, so that the same weights must give them."""

PATIENCE = Timeouts(total=5.0)
"""How long a host may take to unload a model, which Ollama does at once: one that hangs must not hold up the answer."""


class Relay(Endpoint):
    """An endpoint of Ollama's own API at which one model is asked."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record: Record = scope["record"]
        record.route = record.path.removeprefix("/")
        async with Giving(scope, self._running, send) as giving:
            body = await read_body(scope, receive, limit=self._settings.max_body)
            request = decode_request(record.path, body)
            record.asked, record.stream = request.model, request.stream
            if request.unloads and (answer := await self._unload(request, record)) is not None:
                await giving.whole(answer.body, (), [(b"content-type", answer.media_type)])
            else:
                await self._give(giving, request, record)

    async def _give(self, giving: Giving, request: NativeRequest, record: Record) -> None:
        wanted = weights(self._fleet.candidates(self._catalogue.key(request.model))) if request.path in _VECTORS else ""
        giving.source = exchange = Exchange(self._fleet, self._catalogue, request, record, wanted=wanted)
        events = await exchange.open()
        form: Headers = [(b"content-type", exchange.media_type)] if exchange.media_type else []
        if isinstance(events[-1], Finish):
            await giving.whole(whole(events), (), form)
        else:
            form.append((b"x-accel-buffering", b"no"))
            await giving.stream(exchange, events, RelayEncoder(), (), form)

    async def _unload(self, request: NativeRequest, record: Record) -> HostAnswer | None:
        """Take the model from the memory of every host that has it; return what one of them says, None if none can.

        Which of them hold it is not asked: to unload what is not loaded is fine with Ollama, and two names of the same
        weights share their place in memory, where only one of them is told of (wire.md 3.5).
        """
        key = self._catalogue.key(request.model)
        names = {one.host: one.model for one in self._fleet.candidates(key)}
        hosts = [self._fleet.hosts[label] for label in names]
        answers = await ask_each(
            hosts, lambda host: encode_request(request, model=names[host.label]), timeouts=PATIENCE
        )
        done = {
            label: answer
            for label, answer in answers.items()
            if isinstance(answer, HostAnswer) and answer.status == 200
        }
        for label in answers.keys() - done.keys():
            log("unload failed", "warning", host=label, model=names[label], reason=_reason(answers[label]))
        await self._fleet.refresh()  # `ollama stop` is often followed by `ollama ps`
        if not done:
            return None
        record.host, record.model, record.why = ", ".join(done), names[next(iter(done))], "unload, every host"
        return next(iter(done.values()))


def _reason(answer: HostAnswer | GatewayError) -> str:
    return f"status {answer.status}" if isinstance(answer, HostAnswer) else answer.detail or answer.message

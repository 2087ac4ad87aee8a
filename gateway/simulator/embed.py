"""`/api/embed` and `/api/embeddings` (wire.md 1.9)."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from msgspec import Raw, Struct

from gateway.simulator.answers import Answer, Refusal, reply
from gateway.simulator.embedding import normalize
from gateway.simulator.golang import encode, float32_list, float64_list
from gateway.simulator.host import Host
from gateway.simulator.incoming import SimulatedRequest
from gateway.simulator.model import SimulatedModel
from gateway.simulator.options import merge_options
from gateway.simulator.requests import EmbedRequest, read_embed, read_embeddings
from gateway.simulator.scheduler import Lease

_TOO_LONG = "the input length exceeds the context length"


class _Reply(Struct, frozen=True, omit_defaults=True):
    model: str
    embeddings: list[Raw]
    total_duration: int = 0
    load_duration: int = 0
    prompt_eval_count: int = 0


async def embed(host: Host, request: SimulatedRequest) -> Answer:
    """Answer a request to `/api/embed`.

    Raises:
        Refusal: As a real host refuses it.
    """
    started = time.perf_counter_ns()
    asked = read_embed(request.body)
    inputs = _inputs(asked.input)
    model = _model(host, asked.model, empty=Refusal(404, f"model '{asked.model}' not found"))
    lease = await _load(host, request, model, asked)
    room = lease.runner.options.num_ctx
    loaded = time.perf_counter_ns()
    if not inputs:
        return reply(_Reply(asked.model, []))
    await _take_slot(host, request, lease, model)
    vectors, count = [], 0
    for text in inputs:
        tokens = model.split(text)
        if len(tokens) > room and not asked.truncate:
            raise Refusal(400, _TOO_LONG)
        vector = model.vector(text if len(tokens) <= room else "".join(tokens[:room]))
        if 0 < asked.dimensions < len(vector):
            vector = normalize(vector[: asked.dimensions])
        vectors.append(float32_list(vector))
        count += min(len(tokens), room)
    return reply(_Reply(asked.model, vectors, time.perf_counter_ns() - started, loaded - started, count))


async def embeddings(host: Host, request: SimulatedRequest) -> Answer:
    """Answer a request to `/api/embeddings`, the older form.

    Raises:
        Refusal: As a real host refuses it.
    """
    asked = read_embeddings(request.body)
    model = _model(host, asked.model, empty=Refusal(400, "model is required"))
    lease = await _load(host, request, model, asked)
    room = lease.runner.options.num_ctx
    if not asked.prompt:
        return reply({"embedding": []})
    await _take_slot(host, request, lease, model)
    if len(model.split(asked.prompt)) > room:
        raise Refusal(500, _TOO_LONG)
    return reply({"embedding": float64_list(model.vector(asked.prompt))})


def _inputs(value: Any) -> list[str]:
    """Return the texts to embed; no text at all loads the model."""
    match value:
        case None | "":
            return []
        case str():
            return [value]
        case list() if all(isinstance(item, str) for item in value):
            return value
        case _:
            raise Refusal(400, "invalid input type")


def _model(host: Host, name: str, *, empty: Refusal) -> SimulatedModel:
    missing = Refusal(404, f"model {encode(name).decode()} not found, try pulling it first")
    return host.require(name, empty=empty, missing=missing)


async def _load(host: Host, request: SimulatedRequest, model: SimulatedModel, asked: EmbedRequest) -> Lease:
    """Load the model."""
    options = host.load_options(model, merge_options(model.parameters, asked.options))
    request.inference = True
    request.lease = lease = await host.lease(model, options, asked.keep_alive)
    return lease


async def _take_slot(host: Host, request: SimulatedRequest, lease: Lease, model: SimulatedModel) -> None:
    """Wait for a slot and the time of a run.

    Raises:
        Refusal: 501 for a model that does not embed, or the failure that was ordered.
    """
    await lease.slot()
    await asyncio.sleep(host.first_token_seconds)
    if request.failure is not None:
        lease.crash()
        raise Refusal(request.failure.status, request.failure.error)
    if not model.can("embedding"):
        words = "This server does not support embeddings. Start it with `--embeddings`"
        raise Refusal(501, words if host.at_least(0, 30) else "this model does not support embeddings")

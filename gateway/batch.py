"""A large batch of inputs in parts, so that all hosts with the same weights work on it at once.

Ollama embeds one input after the other (wire.md 1.9), so two hosts take half the time. Each part is an exchange of its
own: a host that fails costs its part once more, and nothing else.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import Counter
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapters.types import Event
    from gateway.exchange import Exchange
    from gateway.routing import Candidate

LEAST = 16
"""Inputs of a part at least. A call costs a host two or three milliseconds besides its inputs, as recordings of small
models show: what a fast GPU takes for one short text or two.
"""

MOST = 256
"""Inputs of a part at most, on average: it bounds what a failure costs, and what is held of an answer at once. With as
many to do, loading the model where it is not loaded is worth its time.
"""

ROUNDS = 4
"""Parts for each host at most. A host takes the next part when it has done one, so a faster host does more of them."""


class Plan(Struct, frozen=True):
    """How a batch is split.

    Attributes:
        parts: Where the inputs of each part stand, in order.
        width: How many parts are under way at once.
        digest: Which weights must answer all of them; empty for whichever the model's name stands for.
    """

    parts: tuple[slice, ...]
    width: int = 1
    digest: str = ""


def plan(inputs: Sequence[str], candidates: Sequence[Candidate], *, shared: bool = True) -> Plan:
    """Return how a batch is split over the hosts that have the model.

    Hosts share the work when they have the same weights, nothing to do for this model, and the model in memory or
    enough to do to load it. So a fleet that is busy anyway takes on no further calls. A host that tells no digest works
    alone.

    Args:
        inputs: The batch.
        candidates: The hosts.
        shared: Whether several hosts may work on it at once.
    """
    count = len(inputs)
    digest = _weights(candidates)
    idle = [one for one in candidates if one.digest == digest and not one.in_flight] if digest and shared else []
    warm = [one for one in idle if one.resident]
    width = max(1, len(warm if count < MOST else idle))
    parts = 1
    if width > 1:
        parts = width * min(ROUNDS, count // (width * LEAST)) or max(1, count // LEAST)
    return Plan(_cut(inputs, max(parts, -(-count // MOST))), width, digest)


def _weights(candidates: Sequence[Candidate]) -> str:
    """Return the digest that most hosts have under the name.

    Vectors of different weights cannot be compared, and who asks twice compares. So the choice does not depend on who
    is idle, and where as many hosts have one as another, on anything that changes.
    """
    counts = Counter(one.digest for one in candidates)
    return max(sorted(counts), key=lambda digest: counts[digest], default="")


def _cut(inputs: Sequence[str], parts: int) -> tuple[slice, ...]:
    """Return parts of about the same work, which counts half by the number of inputs, half by their length."""
    if parts == 1:
        return (slice(0, len(inputs)),)
    count, length = len(inputs), sum(map(len, inputs)) or 1
    work = list(accumulate(len(text) * count + length for text in inputs))
    bounds = {bisect_left(work, work[-1] * part / parts) + 1 for part in range(1, parts)}
    return tuple(slice(begin, end) for begin, end in pairwise(sorted({0, *bounds, count})))


async def ask_all(exchanges: Sequence[Exchange], width: int) -> list[list[Event]]:
    """Ask for all parts of a batch, and return the events of each, in the order of the parts.

    Each exchange lets go of its host when it is answered; all of them do when one fails or the task is cancelled.

    Args:
        exchanges: One for each part; their answers come whole.
        width: How many are under way at once.

    Raises:
        GatewayError: A part failed for good.
    """
    turns = asyncio.Semaphore(width)

    async def ask(exchange: Exchange) -> list[Event]:
        async with turns:
            try:
                return await exchange.open()
            finally:
                exchange.close()

    try:
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(ask(exchange)) for exchange in exchanges]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in asking]

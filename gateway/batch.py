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

from gateway.routing import rank

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
        hosts: The labels of those that work on them, each on one part at a time; an empty one stands for the best host.
        digest: Which weights must answer all of them; empty for whichever the model's name stands for.
    """

    parts: tuple[slice, ...]
    hosts: tuple[str, ...] = ("",)
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
    digest = weights(candidates)
    idle = [one for one in candidates if one.digest == digest and not one.in_flight] if digest and shared else []
    able = [one for one in idle if one.resident or count >= MOST]
    hosts = tuple(one.host for one in rank(able)) if len(able) > 1 else ("",)
    parts, width = 1, len(hosts)
    if width > 1:
        parts = width * min(ROUNDS, count // (width * LEAST)) or max(1, count // LEAST)
    return Plan(_cut(inputs, max(parts, -(-count // MOST))), hosts, digest)


def weights(candidates: Sequence[Candidate]) -> str:
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


async def ask_all(split: Plan, ask: Callable[[int, str], Exchange]) -> list[list[Event]]:
    """Ask for all parts of a batch, and return the events of each, in the order of the parts.

    Each exchange lets go of its host when it is answered; all of them do when one fails or the task is cancelled.

    Args:
        split: The parts, and who works on them.
        ask: Makes the exchange for the part at a place, which prefers the host with a label; its answer comes whole.

    Raises:
        GatewayError: A part failed for good.
    """
    answers: list[list[Event]] = [[] for _ in split.parts]
    places = iter(range(len(split.parts)))

    async def work(host: str) -> None:
        for place in places:
            exchange = ask(place, host)
            try:
                answers[place] = await exchange.open()
            finally:
                exchange.close()

    try:
        async with asyncio.TaskGroup() as group:
            for host in split.hosts:
                group.create_task(work(host))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return answers

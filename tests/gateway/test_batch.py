"""How a batch is split, which takes nothing but the texts and what is known of the hosts, and who takes which part."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.batch import LEAST, MOST, ROUNDS, Plan, ask_all, plan
from gateway.exchange import Exchange
from gateway.routing import Candidate

ANY = ("",)
"""One worker, on whichever host is best."""


def hosts(count: int, **fields) -> list[Candidate]:
    """Return hosts that are idle and have the model in memory, unless the fields say otherwise."""
    return [
        Candidate(**{"host": f"h{place}", "model": "m", "digest": "d", "resident": True, "parallel": 4, **fields})
        for place in range(count)
    ]


def sizes(count: int, candidates: list[Candidate]) -> list[int]:
    """Return how many inputs each part has, when all are alike."""
    return [part.stop - part.start for part in plan(["hello"] * count, candidates).parts]


@pytest.mark.parametrize(
    ("count", "width", "expected"),
    [
        (1, 3, [1]),
        (2 * LEAST - 1, 3, [2 * LEAST - 1]),
        (2 * LEAST, 2, [LEAST, LEAST]),
        (2 * LEAST, 3, [LEAST, LEAST]),
        (3 * LEAST - 1, 3, [(3 * LEAST) // 2, 3 * LEAST - 1 - (3 * LEAST) // 2]),
        (3 * LEAST, 3, [LEAST] * 3),
        (4 * LEAST, 2, [LEAST] * 4),
        (10 * LEAST, 2, [10 * LEAST // (2 * ROUNDS)] * 2 * ROUNDS),
        (1200, 3, [100] * 12),
        (2048, 2, [256] * 8),
        (2048, 1, [256] * 8),
        (MOST, 1, [MOST]),
        (MOST + 1, 1, [129, 128]),
    ],
)
def test_a_batch_has_as_many_parts_as_are_worth_a_call(count, width, expected):
    assert sizes(count, hosts(width)) == expected


def test_each_host_works_on_one_part_at_a_time():
    split = plan(["hello"] * 100, hosts(3))

    assert (split.hosts, split.digest) == (("h0", "h1", "h2"), "d")


@pytest.mark.parametrize(
    "other",
    [{"resident": False}, {"in_flight": 1}, {"digest": "other"}],
    ids=["not loaded", "at work", "other weights"],
)
def test_a_host_that_is_of_no_help_takes_no_part(other):
    best, further = hosts(2)
    assert plan(["hello"] * 100, [best, further]).hosts == ("h0", "h1")

    split = plan(["hello"] * 100, [best, *hosts(1, host="h1", turn=1, **other)])

    assert (split.hosts, len(split.parts), split.digest) == (ANY, 1, "d")


def test_a_large_batch_is_worth_a_load():
    cold = hosts(3, resident=False)

    assert plan(["hello"] * (MOST - 1), cold).hosts == ANY
    assert plan(["hello"] * MOST, cold).hosts == ("h0", "h1", "h2")


def test_hosts_take_their_parts_in_the_order_of_routing():
    cold, late, early = [
        *hosts(1, host="cold", resident=False),
        *hosts(1, host="late", turn=2),
        *hosts(1, host="early", turn=1),
    ]

    assert plan(["hello"] * MOST, [cold, late, early]).hosts == ("early", "late", "cold")


@pytest.mark.parametrize("parallel", [1, 4])
def test_how_many_calls_a_host_answers_at_once_changes_nothing(parallel):
    warm, *cold = hosts(3, parallel=parallel)
    candidates = [warm, *(replace(one, resident=False) for one in cold)]

    assert plan(["hello"] * 2048, candidates).hosts == ("h0", "h1", "h2")


def test_a_host_that_tells_no_digest_works_alone():
    split = plan(["hello"] * 100, hosts(3, digest=""))

    assert (split.hosts, len(split.parts)) == (ANY, 1)


@pytest.mark.parametrize("candidates", [[], hosts(3, in_flight=1)], ids=["none", "all at work"])
def test_without_an_idle_host_one_call_asks_for_all(candidates):
    split = plan(["hello"] * 100, candidates)

    assert (split.hosts, len(split.parts)) == (ANY, 1)


@pytest.mark.parametrize(
    ("digests", "chosen"),
    [(["b", "a", "b"], "b"), (["b", "a"], "a"), (["a", "b"], "a"), (["", "a"], ""), ([], "")],
)
def test_the_weights_that_most_hosts_have_answer_whoever_is_idle(digests, chosen):
    candidates = [one for place, digest in enumerate(digests) for one in hosts(1, digest=digest, in_flight=place)]

    assert plan(["hello"], candidates).digest == chosen
    assert plan(["hello"] * 100, candidates).digest == chosen
    assert plan(["hello"] * 100, candidates, shared=False).digest == chosen


def test_long_texts_weigh_more():
    texts = ["x" * 1000] * 10 + ["x"] * 90
    parts = plan(texts, hosts(2)).parts

    counts = [part.stop - part.start for part in parts]
    assert sum(counts) == 100
    assert counts[0] < 10 < counts[-1] < 50  # by number alone each of the six would have 16 or 17


@given(
    texts=st.lists(st.integers(0, 10_000).map("x".__mul__), min_size=1, max_size=300)
    | st.lists(st.sampled_from(["", "x", "x" * 10_000]), min_size=1, max_size=2048),
    count=st.integers(0, 20),
    resident=st.booleans(),
)
def test_the_parts_are_the_batch_in_order(texts, count, resident):
    split = plan(texts, hosts(count, resident=resident))

    assert [text for part in split.parts for text in texts[part]] == texts
    assert all(0 < part.stop - part.start <= 2 * MOST + 1 for part in split.parts)
    assert len(split.parts) <= max(ROUNDS * len(split.hosts), -(-len(texts) // MOST))


class Part:
    """Stands for an exchange: it counts for its host, and is answered when the host's pace lets it."""

    def __init__(self, place: int, host: str, pace: Callable[[], Awaitable[object]], done: Counter[str]) -> None:
        self._place, self._host, self._pace, self._done = place, host, pace, done

    async def open(self) -> list[int]:
        await self._pace()
        self._done[self._host] += 1
        return [self._place]

    def close(self) -> None:
        pass


async def done(parts: int, paces: Mapping[str, Callable[[], Awaitable[object]]], counts: Counter[str]) -> None:
    """Ask hosts of certain paces for the parts of a batch, and see that each is answered in its place."""
    split = Plan(tuple(slice(place, place + 1) for place in range(parts)), tuple(paces))
    answers: Any = await ask_all(split, lambda place, host: cast(Exchange, Part(place, host, paces[host], counts)))
    assert answers == [[place] for place in range(parts)]


async def test_hosts_of_one_pace_do_as_many_parts():
    together = asyncio.Barrier(2)
    counts: Counter[str] = Counter()
    await done(8, {"one": together.wait, "other": together.wait}, counts)

    assert counts == {"one": 4, "other": 4}


async def test_a_host_does_the_parts_that_a_slower_one_has_no_time_for():
    counts: Counter[str] = Counter()

    async def slowly() -> None:
        while counts["fast"] < 7:
            await asyncio.sleep(0)

    await done(8, {"slow": slowly, "fast": partial(asyncio.sleep, 0)}, counts)

    assert counts == {"fast": 7, "slow": 1}

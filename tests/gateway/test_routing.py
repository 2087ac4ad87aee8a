from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing import Candidate, Spread, rank, room, spread


def candidate(host: str, **fields) -> Candidate:
    return Candidate(host=host, model="m:latest", **fields)


ORDERS = [
    ("nobody", [], []),
    ("one", [candidate("a")], ["a"]),
    ("resident before cold", [candidate("a"), candidate("b", resident=True)], ["b", "a"]),
    (
        "resident and busy before cold, as long as a slot is free",
        [candidate("a", parallel=4), candidate("b", resident=True, in_flight=3, parallel=4)],
        ["b", "a"],
    ),
    (
        "cold and free before resident and full",
        [candidate("a", resident=True, in_flight=4, parallel=4), candidate("b")],
        ["b", "a"],
    ),
    (
        "the smaller share of slots in use",
        [
            candidate("a", resident=True, in_flight=1, parallel=2),
            candidate("b", resident=True, in_flight=1, parallel=4),
            candidate("c", resident=True, in_flight=3, parallel=8),
        ],
        ["b", "c", "a"],
    ),
    (
        "all full: resident first, then the shortest queue for its slots",
        [
            candidate("a", in_flight=1),
            candidate("b", resident=True, in_flight=9, parallel=3),
            candidate("c", resident=True, in_flight=4, parallel=2),
        ],
        ["c", "b", "a"],
    ),
    (
        "equals take turns",
        [candidate("a", turn=7), candidate("b", turn=5), candidate("c", turn=6)],
        ["b", "c", "a"],
    ),
]


@pytest.mark.parametrize(("candidates", "order"), [row[1:] for row in ORDERS], ids=[row[0] for row in ORDERS])
def test_order(candidates, order):
    assert [choice.host for choice in rank(candidates)] == order


def test_reason():
    assert candidate("a", resident=True, in_flight=1, parallel=4).reason == "resident, 1 of 4 in flight"
    assert candidate("a").reason == "cold, 0 of 1 in flight"


candidates = st.lists(
    st.builds(
        Candidate,
        host=st.text(max_size=3),
        model=st.just("m"),
        resident=st.booleans(),
        in_flight=st.integers(0, 20),
        parallel=st.integers(1, 8),
        turn=st.integers(0, 99),
    )
)


@given(candidates)
def test_nobody_is_lost_and_nobody_invented(some):
    assert sorted(map(repr, rank(some))) == sorted(map(repr, some))


@given(candidates)
def test_no_full_host_comes_before_one_with_a_free_slot(some):
    full = [choice.in_flight >= choice.parallel for choice in rank(some)]

    assert full == sorted(full)


def several(*hosts: tuple[str, str, bool, int, int]) -> list[Candidate]:
    return [
        Candidate(host=host, model="m", digest=digest, resident=resident, in_flight=busy, parallel=slots, turn=turn)
        for turn, (host, digest, resident, busy, slots) in enumerate(hosts)
    ]


@pytest.mark.parametrize(
    ("candidates", "over", "free"),
    [
        (several(), Spread(), 0),
        (several(("a", "x", True, 0, 4)), Spread("x"), 4),
        (several(("a", "x", True, 1, 4), ("b", "x", True, 0, 2)), Spread("x"), 5),
        (several(("a", "x", True, 0, 1), ("b", "x", False, 0, 8)), Spread("x"), 1),
        (several(("a", "x", True, 0, 1), ("b", "y", True, 0, 8)), Spread("x"), 1),
        (several(("a", "x", False, 0, 2), ("b", "x", False, 0, 8)), Spread("x", "a"), 2),
        (several(("a", "x", True, 3, 2), ("b", "x", False, 0, 8)), Spread("x"), 0),
        (several(("a", "", True, 0, 2), ("b", "", True, 1, 2)), Spread(), 3),
    ],
    ids=[
        "no host", "one host", "two with the model in memory", "not where it must be loaded", "other weights",
        "where it is in no memory on one host", "more at work than slots", "hosts that tell no digest",
    ],
)  # fmt: skip
def test_several_calls_go_to_the_weights_of_the_best_host_and_its_free_slots(candidates, over, free):
    assert spread(candidates) == over
    assert room(candidates, over) == free


def test_there_is_less_room_with_each_call_that_is_made():
    over = spread(several(("a", "x", False, 0, 2), ("b", "x", False, 0, 2)))

    assert [room(several(("a", "x", False, busy, 2), ("b", "x", False, 0, 2)), over) for busy in range(4)] == [
        2,
        1,
        0,
        0,
    ]

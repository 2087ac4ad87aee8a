from __future__ import annotations

import heapq
from math import inf
from typing import Any, TypeAlias

import pytest

from gateway.hop.watch import Watch

Expiry: TypeAlias = tuple[str, float, float]  # the phase, its limit, and when it was found out


class Handle:
    def __init__(self, clock: Clock, when: float, callback: Any) -> None:
        self.clock, self.when, self.callback = clock, when, callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True

    def __lt__(self, other: Handle) -> bool:
        return self.when < other.when


class Clock:
    """The part of an event loop that a watch uses, with a time that only tests move."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[Handle] = []
        self.set = 0

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Any) -> Handle:
        assert when < inf
        self.set += 1
        handle = Handle(self, when, callback)
        heapq.heappush(self.timers, handle)
        return handle

    def pass_until(self, now: float) -> None:
        while self.timers and self.timers[0].when <= now:
            handle = heapq.heappop(self.timers)
            if not handle.cancelled:
                self.now = handle.when
                handle.callback()
        self.now = now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def expired() -> list[Expiry]:
    return []


@pytest.fixture
def watch(clock: Clock, expired: list[Expiry]) -> Watch:
    return Watch(clock, lambda phase, seconds: expired.append((phase, seconds, clock.now)))  # type: ignore[arg-type]


def test_phase_without_progress_expires_when_its_limit_is_over(
    clock: Clock, watch: Watch, expired: list[Expiry]
) -> None:
    watch.begin("first_byte", 5)
    clock.pass_until(104.9)
    assert expired == []
    clock.pass_until(200)
    assert expired == [("first_byte", 5, 105.0)]


def test_progress_moves_the_end_of_a_phase_without_setting_a_timer(
    clock: Clock, watch: Watch, expired: list[Expiry]
) -> None:
    watch.begin("between", 10)
    for second in range(1, 10):
        clock.pass_until(100 + second)
        watch.since = clock.time()
    assert clock.set == 1
    clock.pass_until(200)
    assert expired == [("between", 10, 119.0)]


def test_nearer_limit_sets_the_timer_anew_and_a_farther_one_does_not(
    clock: Clock, watch: Watch, expired: list[Expiry]
) -> None:
    watch.begin("first_byte", 600)
    watch.begin("between", 10)
    watch.begin("idle", 55)
    assert clock.set == 2
    clock.pass_until(1000)
    assert expired == [("idle", 55, 155.0)]


def test_busy_connection_sets_no_timers_for_its_calls(clock: Clock, watch: Watch, expired: list[Expiry]) -> None:
    for call in range(1000):
        clock.pass_until(100 + call * 0.01)
        watch.begin_call(clock.time(), None)
        watch.begin("first_byte", 600)
        watch.begin("between", 120)
        watch.begin("idle", 55)
    assert clock.set == 3
    assert expired == []


def test_whole_call_expires_in_spite_of_progress(clock: Clock, watch: Watch, expired: list[Expiry]) -> None:
    watch.begin_call(clock.time() - 1, 4)
    watch.begin("between", 2)
    clock.pass_until(101.5)
    watch.since = clock.time()
    clock.pass_until(200)
    assert expired == [("total", 4, 103.0)]


def test_phase_without_a_limit_never_expires(clock: Clock, watch: Watch, expired: list[Expiry]) -> None:
    watch.begin("paused", None)
    clock.pass_until(10_000)
    assert expired == []
    assert clock.set == 0


def test_timer_of_a_phase_does_not_end_a_later_one_without_a_limit(
    clock: Clock, watch: Watch, expired: list[Expiry]
) -> None:
    watch.begin("between", 10)
    watch.begin("paused", None)
    clock.pass_until(10_000)
    watch.begin("between", 10)
    clock.pass_until(20_000)
    assert expired == [("between", 10, 10_010.0)]


def test_phase_can_begin_after_another_expired(clock: Clock, watch: Watch, expired: list[Expiry]) -> None:
    watch.begin("between", 10)
    clock.pass_until(200)
    watch.begin("idle", 55)
    clock.pass_until(300)
    assert expired == [("between", 10, 110.0), ("idle", 55, 255.0)]


def test_stopped_watch_stays_silent(clock: Clock, watch: Watch, expired: list[Expiry]) -> None:
    watch.begin("between", 10)
    watch.stop()
    watch.stop()
    clock.pass_until(1000)
    assert expired == []


def test_stopped_watch_can_begin_again(clock: Clock, watch: Watch, expired: list[Expiry]) -> None:
    watch.begin("between", 10)
    watch.stop()
    watch.begin("between", 20)
    clock.pass_until(1000)
    assert expired == [("between", 20, 120.0)]

"""One timer for all time limits of a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import Literal, TypeAlias

Phase: TypeAlias = Literal["idle", "upload", "first_byte", "between", "paused", "total"]


class Watch:
    """Calls `expired(phase, seconds)` when a phase takes longer than it may, or the whole call does.

    Setting a timer anew for each piece of an answer would cost more than reading the piece. So progress only notes the
    time; a timer that rings before its phase is really over is set again. On a connection in use the phases follow each
    other without any timer being touched, except when a limit is nearer than the next ring.

    Attributes:
        since: When the phase began or last made progress, by the loop's clock.
    """

    __slots__ = ("_expired", "_limit", "_loop", "_phase", "_rings_at", "_timer", "_until", "_whole", "since")

    def __init__(self, loop: asyncio.AbstractEventLoop, expired: Callable[[Phase, float], None]) -> None:
        self._loop = loop
        self._expired = expired
        self._phase: Phase = "idle"
        self._limit = inf
        self._whole = inf
        self._until = inf
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = inf
        self.since = 0.0

    def begin_call(self, began: float, whole: float | None) -> None:
        """Limit the sum of the phases that follow to `whole` seconds after `began`."""
        self._whole = inf if whole is None else whole
        self._until = began + self._whole

    def begin(self, phase: Phase, limit: float | None) -> None:
        """Begin a phase that may pass `limit` seconds without progress."""
        self._phase = phase
        self._limit = inf if limit is None else limit
        self.since = self._loop.time()
        due = self._due()
        if due < self._rings_at:
            self.stop()
            self._set(due)

    def stop(self) -> None:
        """Let go of the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._rings_at = inf

    def _due(self) -> float:
        return min(self.since + self._limit, self._until)

    def _set(self, due: float) -> None:
        if due < inf:
            self._rings_at = due
            self._timer = self._loop.call_at(due, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._rings_at = inf
        due = self._due()
        if self._loop.time() < due:
            self._set(due)
        elif due == self._until:
            self._expired("total", self._whole)
        else:
            self._expired(self._phase, self._limit)

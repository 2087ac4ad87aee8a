"""Several answers at once: the choices of one request, the prompts of another."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Protocol

from adapters.types import Failure, Finish

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from adapters.types import Event, Request

AGAIN = 0.1
"""Seconds between two looks for room, which also other callers make when they leave."""

Placed = tuple[int, "list[Event]"]
"""Events with the place of the answer that they belong to."""


class Source(Protocol):
    """What an answer comes from, as far as it has to be let go of."""

    @property
    def settled(self) -> bool:
        """Whether nothing more comes from the hosts."""

    async def settle(self) -> None:
        """After the answer: let the hosts end theirs, so that their connections can serve another call."""

    def close(self) -> None:
        """Let go of the hosts."""


class Answer(Source, Protocol):
    """An answer as it is made: an exchange, or several that look like one."""

    @property
    def request(self) -> Request:
        """What is asked, as it was sent."""

    @property
    def digest(self) -> str:
        """Which weights answer; empty before the first event."""

    async def open(self) -> list[Event]:
        """Return the first events, or all of them when the request is not for a stream."""

    async def next(self) -> list[Event]:
        """Return the next events; none when the answer has ended."""


class Choices:
    """Answers that are made at the same time, each by a task of its own, and read as one sequence of placed events.

    The first failure of any of them is the failure of all. `close` must be called, whatever happens.

    Args:
        answers: The answers; none of them is open yet.
        room: Says for how many more there is room at the hosts; the others wait. One at least is always being made.
    """

    def __init__(self, answers: Sequence[Answer], room: Callable[[], int]) -> None:
        self._answers = answers
        self._room = room
        # Bounded: a caller who reads slowly must not make us keep what the hosts say.
        self._ready: asyncio.Queue[Placed | Exception] = asyncio.Queue(2 * len(answers))
        self._tasks: list[asyncio.Task[None]] = []
        self._busy = 0
        self._ended = asyncio.Event()
        self._open = len(answers)
        self._failure: Exception | None = None

    @property
    def settled(self) -> bool:
        """Whether nothing more comes from the hosts."""
        return all(task.done() for task in self._tasks)

    async def next(self) -> list[Placed]:
        """Return the next events of whichever answer has some; nothing when all answers have ended.

        Raises:
            GatewayError: An answer failed.
        """
        if not self._tasks:
            self._tasks.append(asyncio.create_task(self._feed()))
        placed: list[Placed] = []
        while self._open and self._failure is None and (not placed or not self._ready.empty()):
            item = await self._ready.get()
            if isinstance(item, Exception):
                self._failure = item
            elif isinstance(item[1][-1], Failure):
                self._failure = item[1][-1].error
            else:
                self._open -= isinstance(item[1][-1], Finish)
                placed.append(item)
        if self._failure is not None and not placed:  # what came before it is given first
            raise self._failure
        return placed

    async def settle(self) -> None:
        """After the last event: let the hosts end their answers."""
        await asyncio.gather(*self._tasks)  # all have begun, for all have answered

    def close(self) -> None:
        """Let go of all hosts. Those that still work on an answer are stopped."""
        for task in self._tasks:
            task.cancel()
        for answer in self._answers:
            answer.close()

    async def _feed(self) -> None:
        """Begin each answer when there is room for it."""
        for place, answer in enumerate(self._answers):
            while self._busy and self._room() < 1:
                self._ended.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(AGAIN):
                        await self._ended.wait()
            self._busy += 1
            self._tasks.append(asyncio.create_task(self._run(place, answer)))
            await asyncio.sleep(0)  # it takes its slot before the next one looks for one

    async def _run(self, place: int, answer: Answer) -> None:
        try:
            events = await answer.open()
            while events:
                await self._ready.put((place, events))
                events = await answer.next()
            await answer.settle()
        except Exception as error:  # noqa: BLE001 - whoever reads raises it
            await self._ready.put(error)
        finally:
            answer.close()
            self._busy -= 1
            self._ended.set()

"""Callers that ask, check the whole answer, and ask again.

One wrong answer ends everything: figures of a run that had failures mean nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Generic, Self, TypeVar

import httptools
import uvloop
from msgspec import Struct

T = TypeVar("T")

Address = tuple[str, int]

PATIENCE = 30.0
"""Seconds that answers which are under way may take to end, or held streams to begin."""


class LoadError(Exception):
    """What came back is not what a right answer looks like."""


class Question(Struct, frozen=True):
    """What is asked, and how a right answer is told from a wrong one.

    Attributes:
        request: The bytes of the whole HTTP request.
        piece: What each piece of a right answer has.
        pieces: How many pieces there are.
        end: What stands once, at the end of a right answer.
    """

    request: bytes
    piece: bytes
    pieces: int
    end: bytes


class Window(Struct, Generic[T]):
    """What was seen between two moments.

    Attributes:
        before, after: What the probe said at these moments.
        seconds: Their distance.
        answers: Right answers that ended in between.
        pieces: Pieces that arrived in between.
        latencies: Seconds from each of these answers' request to its end.
    """

    before: T
    after: T
    seconds: float
    answers: int
    pieces: int
    latencies: list[float]


def drive(
    address: Address,
    question: Question,
    probe: Callable[[], T],
    *,
    callers: int,
    seconds: float,
    warm_up: float = 0.5,
    spread: float = 0.0,
) -> Window[T]:
    """Let callers ask without pause, and return what was seen in a window of that.

    Args:
        address: Whom they ask.
        question: What they ask.
        probe: Called at the window's begin and end.
        callers: How many ask at once, each over one connection.
        seconds: How long the window is.
        warm_up: Seconds from the last caller's first request to the window.
        spread: Seconds over which the callers begin, evenly, so that paced streams do not march in step.

    Raises:
        LoadError: An answer was wrong or did not come.
        OSError: Nobody listens there.
    """
    return uvloop.run(_drive(address, question, probe, callers, seconds, warm_up, spread))


def hold(address: Address, question: Question, probe: Callable[[], T], *, streams: int, settle: float) -> T:
    """Open streams, and return what the probe says when all of them have begun; then leave.

    Args:
        address: Who is asked.
        question: What is asked; its answer must last longer than this takes.
        probe: Called when all streams are open.
        streams: How many.
        settle: Seconds between the first piece of the last stream and the probe.

    Raises:
        LoadError: An answer was wrong or did not come.
        OSError: Nobody listens there.
    """
    return uvloop.run(_hold(address, question, probe, streams, settle))


async def _drive(
    address: Address,
    question: Question,
    probe: Callable[[], T],
    callers: int,
    seconds: float,
    warm_up: float,
    spread: float,
) -> Window[T]:
    async with _Load(question) as load:
        await load.start(address, callers, spread)
        await load.run(spread + warm_up)
        load.forget()
        before, start = probe(), perf_counter()
        await load.run(seconds)
        after, end = probe(), perf_counter()
        window = Window(before, after, end - start, len(load.latencies), load.pieces, load.latencies.copy())
        await load.finish()
        return window


async def _hold(address: Address, question: Question, probe: Callable[[], T], streams: int, settle: float) -> T:
    async with _Load(question) as load:
        await load.start(address, streams, spread=1.0)
        await load.wait(lambda: load.begun >= streams)
        await load.run(settle)
        return probe()


class _Load:
    """All callers of one run, and what they have seen. Leaving the block breaks off what is under way.

    Attributes:
        question: What they ask.
        asking: Whether they ask again when they are answered.
        pieces: How many pieces have arrived.
        begun: How many answers have begun.
        latencies: Seconds that each whole answer took.
    """

    def __init__(self, question: Question) -> None:
        self.question = question
        self.asking = True
        self.pieces = 0
        self.begun = 0
        self.latencies: list[float] = []
        self._callers: list[_Caller] = []
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for caller in self._callers:
            caller.leave()

    async def start(self, address: Address, callers: int, spread: float) -> None:
        """Connect, and let each caller begin in its turn."""
        loop = asyncio.get_running_loop()
        for _ in range(callers):
            _, caller = await loop.create_connection(lambda: _Caller(self), *address)
            self._callers.append(caller)
        for index, caller in enumerate(self._callers):
            loop.call_later(spread * index / callers, caller.ask)

    async def run(self, seconds: float) -> None:
        """Let them ask for a while.

        Raises:
            LoadError: An answer was wrong or did not come.
        """
        await asyncio.wait([self._failure], timeout=seconds)
        if self._failure.done():
            self._failure.result()

    async def wait(self, reached: Callable[[], bool]) -> None:
        """Let them ask until something is reached.

        Raises:
            LoadError: An answer was wrong, or it is not reached in time.
        """
        end = perf_counter() + PATIENCE
        while not reached():
            if perf_counter() > end:
                waiting = sum(caller.waiting for caller in self._callers)
                raise LoadError(f"after {PATIENCE:g} seconds {self.begun} answers have begun, {waiting} have not ended")
            await self.run(0.005)

    async def finish(self) -> None:
        """Ask no more, and wait for the answers that are under way: they do not count, but they must be right.

        Raises:
            LoadError: One was wrong or did not come.
        """
        self.asking = False
        await self.wait(lambda: not any(caller.waiting for caller in self._callers))
        await self.run(0)

    def forget(self) -> None:
        """Begin to count."""
        self.pieces = 0
        self.latencies.clear()

    def fail(self, what: str) -> None:
        """Let `run` raise."""
        if not self._failure.done():
            self._failure.set_exception(LoadError(what))


class _Caller(asyncio.Protocol):
    """One connection."""

    def __init__(self, load: _Load) -> None:
        self.waiting = False
        self._load = load
        self._question = load.question
        self._parser = httptools.HttpResponseParser(self)
        self._body = bytearray()
        self._seen = 0
        self._asked = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def ask(self) -> None:
        """Send the request, unless all is over before this caller's turn to begin."""
        if self._transport.is_closing():
            return
        self._body.clear()
        self._seen = 0
        self.waiting = True
        self._asked = perf_counter()
        self._transport.write(self._question.request)

    def leave(self) -> None:
        """Break off."""
        self.waiting = False
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.waiting:
            self._load.fail(f"the connection was closed after {bytes(self._body)[-500:]!r}: {exc}")

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._load.fail(f"not HTTP: {error}: {data[:500]!r}")

    def on_body(self, body: bytes) -> None:
        question, begin = self._question, max(0, len(self._body) - len(self._question.piece) + 1)
        self._body += body
        more = self._body.count(question.piece, begin)
        self._load.pieces += more
        if more and not self._seen:
            self._load.begun += 1
        self._seen += more

    def on_message_complete(self) -> None:
        question, status = self._question, self._parser.get_status_code()
        if status != 200 or self._seen != question.pieces or question.end not in self._body:
            self._load.fail(f"status {status}, {self._seen} of {question.pieces} pieces: {bytes(self._body)[-500:]!r}")
        self._load.latencies.append(perf_counter() - self._asked)
        if self._load.asking:
            self.ask()
        else:
            self.waiting = False

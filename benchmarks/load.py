"""Callers that ask, check the whole answer, and ask again.

One wrong answer ends everything: figures of a run that had failures mean nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Generic, TypeVar

import httptools
import uvloop
from msgspec import Struct

T = TypeVar("T")

Address = tuple[str, int]

PATIENCE = 30.0
"""Seconds that answers which are under way may take to end, or held streams to begin."""


class WrongAnswer(Exception):
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
        WrongAnswer: An answer was wrong or did not come.
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
        WrongAnswer: An answer was wrong or did not come.
        OSError: Nobody listens there.
    """
    return uvloop.run(_hold(address, question, probe, streams, settle))


async def _drive(
    address: Address, question: Question, probe: Callable[[], T], callers: int, seconds: float, warm_up: float, spread: float
) -> Window[T]:
    load = _Load(question)
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
    load = _Load(question)
    await load.start(address, streams, spread=1.0)
    try:
        async with asyncio.timeout(PATIENCE):
            while load.begun < streams:
                await load.run(0.05)
    except TimeoutError:
        raise WrongAnswer(f"{load.begun} of {streams} streams have begun after {PATIENCE:g} seconds") from None
    await load.run(settle)
    seen = probe()
    load.leave()
    return seen


class _Load:
    """All callers of one run, and what they have seen."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.asking = True
        self.pieces = 0
        self.begun = 0
        self.latencies: list[float] = []
        self._callers: list[_Caller] = []
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

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
            WrongAnswer: An answer was wrong or did not come.
        """
        await asyncio.wait([self._failure], timeout=seconds)
        if self._failure.done():
            self.leave()
            self._failure.result()

    async def finish(self) -> None:
        """Ask no more, and wait for the answers that are under way: they count as little as they must be right."""
        self.asking = False
        end = perf_counter() + PATIENCE
        while any(caller.waiting for caller in self._callers):
            if perf_counter() > end:
                self.fail(f"answers have not ended {PATIENCE:g} seconds after the last request")
            await self.run(0.005)
        self.leave()

    def leave(self) -> None:
        """Break off everything."""
        for caller in self._callers:
            caller.leave()

    def forget(self) -> None:
        """Begin to count."""
        self.pieces = 0
        self.latencies.clear()

    def fail(self, what: str) -> None:
        """Let `run` raise."""
        if not self._failure.done():
            self._failure.set_exception(WrongAnswer(what))


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
        """Send the request."""
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
        self._load.begun += not self._seen and more > 0
        self._seen += more

    def on_message_complete(self) -> None:
        question, status = self._question, self._parser.get_status_code()
        if status != 200 or self._seen != question.pieces or question.end not in self._body:  # noqa: PLR2004
            self._load.fail(f"status {status}, {self._seen} of {question.pieces} pieces: {bytes(self._body)[-500:]!r}")
        self._load.latencies.append(perf_counter() - self._asked)
        if self._load.asking:
            self.ask()
        else:
            self.waiting = False

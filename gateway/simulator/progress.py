"""The progress of what takes time: pull, push and create tell it line by line, or only its end (wire.md 1.11)."""

from __future__ import annotations

from collections.abc import AsyncIterator

from msgspec import Struct

from gateway.simulator.answers import Answer, Refusal, Stream, Whole, refuse
from gateway.simulator.frames import lines_of
from gateway.simulator.golang import encode

_JSON = (("Content-Type", "application/json"),)


class Progress(Struct, frozen=True, omit_defaults=True):
    """One line.

    Attributes:
        status: What is done now.
        digest: What it is done to.
        total: Its size in bytes.
        completed: How many of them are done.
    """

    status: str
    digest: str = ""
    total: int = 0
    completed: int = 0


async def tell(steps: AsyncIterator[Progress], *, stream: bool) -> Answer:
    """Turn progress into an answer: lines, or the last step alone.

    A refusal before the first step decides the status; a later one is a line, or the status of the one body.
    """
    try:
        first = await anext(steps)
        if stream:
            return Stream(lines_of(first, steps))
        *_, last = [first, *[step async for step in steps]]
        return Whole(headers=_JSON, body=encode(last))
    except Refusal as refusal:
        refused = refuse(refusal, streaming=True)
        return refused if stream else Whole(status=refused.status, headers=_JSON, body=refused.body)

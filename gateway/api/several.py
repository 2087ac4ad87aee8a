"""Gives an answer that is several answers made at the same time: choices, or the prompts of a completion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from gateway.choices import Choices

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from adapters.types import Event, Usage
    from gateway.api.giving import Encoder, Giving
    from gateway.choices import Answer, Placed
    from gateway.record import Account, Record


class Whole(Protocol):
    """Folds the events of several answers into one."""

    def feed(self, events: Sequence[Event], index: int, /) -> None:
        """Take up the next events of an answer."""

    def encode(self) -> bytes:
        """Return the whole."""


async def give_several(
    giving: Giving,
    record: Record,
    answers: Sequence[Answer],
    parts: Sequence[Account],
    *,
    room: Callable[[], int],
    total: Callable[[Sequence[Usage]], Usage],
    streamed: Callable[[str], Encoder[list[Placed]]] | None,
    whole: Callable[[str], Whole],
) -> None:
    """Make the answers and give them, interleaved as they come or together at the end.

    Args:
        giving: The way to the caller.
        record: The request's; it takes over what the parts' accounts say.
        answers: The answers, none of them open yet.
        parts: The account of each.
        room: Says for how many more answers there is room at the hosts.
        total: What they took together, from what each took.
        streamed: Makes the encoder of a stream, from the digest of what answers; None when the caller wants the whole.
        whole: Makes the encoder of the whole, from the same.
    """
    giving.source = choices = Choices(answers, room)
    try:
        placed = await choices.next()
        record.gather(parts, total)
        first = answers[placed[0][0]]
        digest, ignored = first.digest, first.request.ignored
        if streamed is not None:
            await giving.stream(choices, placed, streamed(digest), ignored)
            return
        encoder = whole(digest)
        while placed:
            for index, events in placed:
                encoder.feed(events, index)
            placed = await choices.next()
        record.gather(parts, total)
        await giving.whole(encoder.encode(), ignored)
    finally:
        record.gather(parts, total)

"""One body to several hosts at once, at the pace of the slowest."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Self

from gateway.management.asking import ask, attempt, while_it_lives

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Iterable

    from adapters.errors import GatewayError, HostAnswer
    from adapters.types import Call
    from gateway.fleet import Host
    from gateway.hop import Timeouts


async def upload(
    hosts: Collection[Host], call: Call, pieces: AsyncGenerator[bytes, None], *, length: int | None, timeouts: Timeouts
) -> dict[str, HostAnswer | GatewayError]:
    """Send a body to several hosts, and return what each answered, by label, in the order of the hosts, or why not.

    The next piece is read when every host has taken the last but one, so that memory holds a few pieces however long
    the body is. A host that fails, or answers early, drops out and the others go on; when none is left, the rest of
    the body is not read. No host gets a whole body when what gives the pieces raises, or when this is cancelled: their
    connections are closed before its end.

    Args:
        hosts: Who gets it.
        call: The request, without its body.
        pieces: The body; none of them is empty. What it raises is raised.
        length: How many bytes that is; None when the end will tell.
        timeouts: How long each host may take; one that is dead is given up sooner.
    """
    taps = {host.label: _Tap() for host in hosts}

    async def send(host: Host) -> HostAnswer | GatewayError:
        tap = taps[host.label]
        try:
            asking = ask(host, call, body=tap, body_length=length, timeouts=timeouts)
            return await attempt(while_it_lives(host, asking))
        finally:
            tap.close()

    async def send_to_all() -> dict[str, HostAnswer | GatewayError]:
        async with asyncio.TaskGroup() as group:
            tasks = {host.label: group.create_task(send(host)) for host in hosts}
        return {label: task.result() for label, task in tasks.items()}

    sending = asyncio.create_task(send_to_all())
    pouring = asyncio.create_task(_pour(pieces, taps.values()))
    try:
        await asyncio.wait((sending, pouring), return_when=asyncio.FIRST_COMPLETED)
        if pouring.done():
            pouring.result()
        return await sending
    finally:
        sending.cancel()
        pouring.cancel()
        await asyncio.gather(sending, pouring, return_exceptions=True)


async def _pour(pieces: AsyncGenerator[bytes, None], taps: Iterable[_Tap]) -> None:
    async with aclosing(pieces):
        async for piece in pieces:
            for tap in taps:
                await tap.pour(piece)
    for tap in taps:
        await tap.pour(b"")


class _Tap:
    """Where one host draws the body from."""

    def __init__(self) -> None:
        self._next: asyncio.Queue[bytes] = asyncio.Queue(1)
        self._closed = False

    async def pour(self, piece: bytes) -> None:
        """Offer the next piece, as soon as the one before was drawn; an empty one is the end."""
        if not self._closed:
            await self._next.put(piece)

    def close(self) -> None:
        """Nothing more is drawn: whoever waits to pour need not."""
        self._closed = True
        if not self._next.empty():
            self._next.get_nowait()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._next.get()
        if not piece:
            raise StopAsyncIteration
        return piece

"""Connecting to the first of a name's addresses that answers (Happy Eyeballs, RFC 8305).

asyncio's `create_connection` does this by itself, uvloop's does not. Sockets are left to the event loop all the same:
when uvloop is given one and loses the connection before `create_connection` returns, it closes the socket without
telling its Python object, whose own close may then hit another connection (compare uvloop issue 738).
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import zip_longest
from typing import Any, Protocol, TypeVar

_HEAD_START = 0.25  # seconds that an address has before the next is tried beside it; the RFC's recommendation


class Abortable(Protocol):
    """A connection."""

    def abort(self) -> None:
        """Close it at once."""


C = TypeVar("C", bound=Abortable)


async def resolve(name: str, port: int) -> list[str]:
    """Return the addresses of a name in the order in which they should be tried; of an address, itself.

    Raises:
        OSError: The name has no address.
    """
    found = await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return alternate([(family, address) for family, _, _, _, address in found])


def alternate(found: Sequence[tuple[int, tuple[Any, ...]]]) -> list[str]:
    """Write addresses out so that their families alternate, the resolver's favourite first (RFC 8305, section 4)."""
    families: dict[int, list[str]] = {}
    for family, address in found:
        text, _ = socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
        families.setdefault(family, []).append(text)
    return [text for row in zip_longest(*families.values()) for text in row if text is not None]


async def race(addresses: Sequence[str], connect: Callable[[str], Awaitable[C]]) -> C:
    """Return the first connection to be made. Each address is tried a while after the one before, or when that failed.

    Raises:
        OSError: No address answers; the error of the one that failed last.
    """
    untried = deque(addresses)
    attempts: set[asyncio.Future[C]] = set()
    error: BaseException = OSError("the name has no address")
    try:
        while untried or attempts:
            if untried:
                attempts.add(asyncio.ensure_future(connect(untried.popleft())))
            done, attempts = await asyncio.wait(
                attempts, timeout=_HEAD_START if untried else None, return_when=asyncio.FIRST_COMPLETED
            )
            while done:
                attempt = done.pop()
                failure = attempt.exception()
                if failure is None:
                    attempts |= done
                    return attempt.result()
                error = failure
    finally:
        for attempt in attempts:
            attempt.cancel()
            attempt.add_done_callback(_discard)
    raise error


def _discard(attempt: asyncio.Future[C]) -> None:
    """Close a connection that came too late."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().abort()

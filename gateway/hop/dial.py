"""Connecting a socket to the first of a name's addresses that answers (Happy Eyeballs, RFC 8305).

asyncio's `create_connection` does this by itself; uvloop's does not.
"""

from __future__ import annotations

import asyncio
import socket
from itertools import zip_longest
from typing import Any, TypeAlias

Address: TypeAlias = tuple[socket.AddressFamily, Any]

_HEAD_START = 0.25  # seconds that an address has before the next is tried beside it; the RFC's recommendation

_OPTIONS = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
if hasattr(socket, "TCP_KEEPIDLE"):
    # A host that lost its power says nothing, and neither does one that thinks for minutes. Probes tell them apart:
    # the connection fails a minute after the host is gone, instead of at the limit for the first byte.
    _OPTIONS += [
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    ]


async def dial(name: str, port: int) -> socket.socket:
    """Return a connected, non-blocking socket.

    Raises:
        OSError: The name has no address, or none of its addresses answers; the last one's error.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    untried = interleave([(family, address) for family, _, _, _, address in found])
    attempts: set[asyncio.Task[socket.socket]] = set()
    error: BaseException | None = None
    try:
        while untried or attempts:
            if untried:
                attempts.add(loop.create_task(_connect(*untried.pop(0))))
            done, attempts = await asyncio.wait(
                attempts, timeout=_HEAD_START if untried else None, return_when=asyncio.FIRST_COMPLETED
            )
            while done:
                attempt = done.pop()
                error = attempt.exception()
                if error is None:
                    attempts |= done
                    return attempt.result()
    finally:
        for attempt in attempts:
            attempt.add_done_callback(_discard)
            attempt.cancel()
    raise error if error is not None else OSError("the name has no address")


def interleave(addresses: list[Address]) -> list[Address]:
    """Order addresses so that their families alternate, beginning with the resolver's favourite (RFC 8305, 4)."""
    families: dict[socket.AddressFamily, list[Address]] = {}
    for address in addresses:
        families.setdefault(address[0], []).append(address)
    return [address for row in zip_longest(*families.values()) for address in row if address is not None]


async def _connect(family: socket.AddressFamily, address: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        for option in _OPTIONS:
            sock.setsockopt(*option)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


def _discard(attempt: asyncio.Task[socket.socket]) -> None:
    """Close the socket of an attempt that came too late."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()

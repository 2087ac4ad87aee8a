"""One question to several hosts at once, each with a short answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from adapters.errors import GatewayError, HostAnswer, HostTimeout
from adapters.ollama.native.blobs import is_digest, look
from gateway.hop import Timeouts

if TYPE_CHECKING:
    from adapters.types import Call
    from gateway.fleet import Host
    from gateway.hop import HopResponse

QUICK = Timeouts(total=10.0)
"""For what a host answers at once, whatever else it does."""

DEAD = 30.0
"""Seconds that a host must be down without a break before it is given up in the middle of its work."""

LIMIT = 32 * 1024 * 1024
"""The largest answer that is read, in bytes."""

_Result = TypeVar("_Result")


async def ask(
    host: Host,
    call: Call,
    *,
    body: AsyncIterable[bytes] | None = None,
    body_length: int | None = None,
    timeouts: Timeouts | None = None,
) -> HostAnswer:
    """Return a host's whole answer, whatever its status. A body may be streamed, as in `Hop.send`.

    Raises:
        HostError: There is none.
        OutOfDescriptors: The process may not open another socket.
        InvalidRequest: The call cannot be sent.
    """
    return await whole(await host.hop.send(call, body=body, body_length=body_length, timeouts=timeouts), LIMIT)


async def attempt(asking: Awaitable[HostAnswer]) -> HostAnswer | GatewayError:
    """Return what a host answers, or why it does not."""
    try:
        return await asking
    except GatewayError as error:
        return error.with_traceback(None)


async def while_it_lives(host: Host, work: Coroutine[Any, Any, _Result]) -> _Result:
    """Return what comes of work at a host that may take as long as it likes, if only the host is there.

    A host that is slow is not given up. One that hangs, or lost its network, would never say so by itself.

    Raises:
        HostTimeout: The host has been down for `DEAD` seconds.
    """
    working, lost = asyncio.create_task(work), asyncio.create_task(host.lost(DEAD))
    try:
        await asyncio.wait((working, lost), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise HostTimeout(f"The host was given up: it has been down for {DEAD:g} seconds.")
    finally:
        working.cancel()
        lost.cancel()
        await asyncio.gather(working, lost, return_exceptions=True)


async def whole(response: HopResponse, limit: int) -> HostAnswer:
    """Return an answer with its whole body, of at most `limit` bytes.

    Raises:
        HostError: It does not come.
    """
    try:
        body = await response.body(limit)
    finally:
        response.close()
    return HostAnswer(response.status, response.media_type, body)


async def ask_each(
    hosts: Iterable[Host], call: Callable[[Host], Call], *, timeouts: Timeouts | None = None
) -> dict[str, HostAnswer | GatewayError]:
    """Return what each host answered, by label, in the order of the hosts, or why it did not."""

    async def one(host: Host) -> HostAnswer:
        return await ask(host, call(host), timeouts=timeouts)

    asked = list(hosts)
    answers = await asyncio.gather(*(attempt(one(host)) for host in asked))
    return {host.label: answer for host, answer in zip(asked, answers, strict=True)}


async def holding(hosts: Iterable[Host], digests: Sequence[str]) -> set[str]:
    """Return which hosts have all of these blobs, by label. What is no digest, none has; it is for a host to refuse."""

    async def holds(host: Host) -> bool:
        try:
            for digest in digests:
                answer = await ask(host, look(digest), timeouts=QUICK)
                if answer.status != 200:
                    return False
        except GatewayError:
            return False
        return True

    if not all(map(is_digest, digests)):
        return set()
    asked = list(hosts)
    held = await asyncio.gather(*map(holds, asked))
    return {host.label for host, there in zip(asked, held, strict=True) if there}

"""One question to several hosts at once, each with a short answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from adapters.errors import GatewayError, HostAnswer

if TYPE_CHECKING:
    from adapters.types import Call
    from gateway.fleet import Host
    from gateway.hop import Timeouts

LIMIT = 32 * 1024 * 1024
"""The largest answer that is read, in bytes."""


async def ask(host: Host, call: Call, *, timeouts: Timeouts | None = None) -> HostAnswer:
    """Return a host's whole answer, whatever its status.

    Raises:
        HostError: There is none.
        OutOfDescriptors: The process may not open another socket.
        InvalidRequest: The call cannot be sent.
    """
    response = await host.hop.send(call, timeouts=timeouts)
    try:
        body = await response.body(LIMIT)
    finally:
        response.close()
    media_type = next((value for name, value in response.headers if name == b"content-type"), b"")
    return HostAnswer(response.status, media_type, body)


async def ask_each(
    hosts: Iterable[Host], call: Callable[[Host], Call], *, timeouts: Timeouts | None = None
) -> dict[str, HostAnswer | GatewayError]:
    """Return what each host answered, by label, in the order of the hosts, or why it did not."""

    async def one(host: Host) -> HostAnswer | GatewayError:
        try:
            return await ask(host, call(host), timeouts=timeouts)
        except GatewayError as error:
            return error.with_traceback(None)

    asked = list(hosts)
    answers = await asyncio.gather(*(one(host) for host in asked))
    return {host.label: answer for host, answer in zip(asked, answers, strict=True)}

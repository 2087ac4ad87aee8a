"""The connections between the SDK and the gateway."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from gateway.simulator import Simulator
from tests.e2e.calling import Caller, calling, said


def sockets(caller: Caller) -> list[Any]:
    """Return the gateway's ends of its callers' connections."""
    connections: set[Any] = caller.gateway.server.server_state.connections
    return [connection.transport.get_extra_info("socket") for connection in connections]


async def test_what_is_written_is_sent_at_once() -> None:
    """With Nagle's algorithm the body of an answer would wait for 40 ms until its head is acknowledged."""
    async with Simulator() as host, calling(host) as caller:
        await caller.ask("async", model="demo", messages=said("hi"))
        [connection] = sockets(caller)

        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("way", ["async", "async, streamed"])
async def test_a_connection_serves_one_call_after_the_other(way: str) -> None:
    async with Simulator() as host, calling(host) as caller:
        for _ in range(5):
            await caller.ask(way, model="demo", messages=said("hi"))
            assert len(sockets(caller)) == 1
        to_the_host = {request.connection for request in host.requests if request.path == "/api/chat"}

    assert len(to_the_host) == 1

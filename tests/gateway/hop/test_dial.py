from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Any

import pytest

from gateway.hop.dial import alternate, race, resolve
from tests.gateway.hop.servers import until


class Connection:
    def __init__(self, address: str) -> None:
        self.address = address
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


class Network:
    """Addresses that behave as their names say: `good`, `refused`, `silent`, or `late`, which answers when cancelled.

    Attributes:
        tried: The addresses that were tried, in order.
        made: The connections that were made.
    """

    def __init__(self) -> None:
        self.tried: list[str] = []
        self.made: list[Connection] = []

    async def connect(self, address: str) -> Connection:
        self.tried.append(address)
        match address:
            case "refused":
                raise ConnectionRefusedError(f"{len(self.tried)} refused")
            case "silent":
                await asyncio.Event().wait()
            case "late":
                with suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()
        self.made.append(Connection(address))
        return self.made[-1]


@pytest.fixture
def network() -> Network:
    return Network()


async def test_address_is_its_own_address() -> None:
    assert await resolve("127.0.0.1", 80) == ["127.0.0.1"]
    assert await resolve("::1", 80) == ["::1"]


def test_families_alternate_beginning_with_the_resolvers_favourite() -> None:
    found: list[tuple[int, tuple[Any, ...]]] = [
        (socket.AF_INET6, ("2001:db8::1", 80, 0, 0)),
        (socket.AF_INET6, ("2001:db8::2", 80, 0, 0)),
        (socket.AF_INET6, ("2001:db8::3", 80, 0, 0)),
        (socket.AF_INET, ("192.0.2.1", 80)),
        (socket.AF_INET, ("192.0.2.2", 80)),
    ]
    assert alternate(found) == ["2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "2001:db8::3"]


async def test_first_address_that_answers_wins_and_no_other_is_tried(network: Network) -> None:
    connection = await race(["good", "good"], network.connect)
    assert (connection.aborted, network.tried) == (False, ["good"])


async def test_address_that_refuses_makes_way_for_the_next(network: Network) -> None:
    assert (await race(["refused", "good"], network.connect)).address == "good"


async def test_address_that_is_silent_makes_way_for_the_next(network: Network) -> None:
    assert (await race(["silent", "good", "good"], network.connect)).address == "good"
    assert network.tried == ["silent", "good"]


async def test_connection_that_comes_too_late_is_closed(network: Network) -> None:
    winner = await race(["late", "good"], network.connect)
    await asyncio.sleep(0.01)
    assert [(one.address, one.aborted) for one in network.made] == [("good", False), ("late", True)]
    assert network.made[0] is winner


async def test_of_two_connections_at_once_one_is_closed() -> None:
    both_here = asyncio.Barrier(2)
    made: list[Connection] = []

    async def connect(address: str) -> Connection:
        await both_here.wait()
        made.append(Connection(address))
        return made[-1]

    winner = await race(["a", "b"], connect)
    await asyncio.sleep(0.01)
    assert [one.aborted for one in made] == [one is not winner for one in made]


async def test_error_is_that_of_the_address_that_failed_last(network: Network) -> None:
    with pytest.raises(ConnectionRefusedError, match="2 refused"):
        await race(["refused", "refused"], network.connect)


async def test_no_address_is_an_error(network: Network) -> None:
    with pytest.raises(OSError, match="no address"):
        await race([], network.connect)


async def test_cancelled_race_cancels_all_attempts(network: Network) -> None:
    racing = asyncio.ensure_future(race(["silent", "late"], network.connect))
    await until(lambda: len(network.tried) == 2)
    racing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await racing
    await asyncio.sleep(0.01)
    assert [one.aborted for one in network.made] == [True]

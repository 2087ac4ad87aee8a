"""Two hosts with one model; the first is asked first."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.fleet import prober
from gateway.simulator import Simulator
from tests.gateway.test_failover import QUICK
from tests.native.failing.asking import Served
from tests.running import running


@pytest.fixture
async def pair() -> AsyncIterator[tuple[Simulator, Simulator]]:
    """The hosts alone, which may be started, killed and configured as a test likes."""
    async with Simulator() as first, Simulator() as second:
        yield first, second


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def serving() -> AsyncIterator[Served]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prober, "PAUSE", 0.0)  # hosts are looked at as often as there is a reason
        async with Simulator() as first, Simulator() as second, running(first, second, timeouts=QUICK) as gateway:
            yield Served(first, second, gateway)


@pytest_asyncio.fixture(loop_scope="module")
async def served(serving: Served) -> Served:
    """The hosts with a gateway before them, all as new: well, quick, idle, with nothing in memory."""
    for host in serving[:2]:
        host.heal()
        host.token_seconds = 0
        await host.wait_idle()
        for runner in host.scheduler.resident():
            host.scheduler.expire(runner.model)
    await serving.gateway.seen()
    for place in serving.gateway.gateway.fleet.hosts.values():
        place.turn = 0
    for host in serving[:2]:
        host.requests.clear()
    return serving

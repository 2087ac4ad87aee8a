"""A model that is brought to the hosts that are meant to have it, while they come and go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from adapters.ollama.native.pulling import Step
from gateway.catalogue import Catalogue
from gateway.commands.configured import fleet_of
from gateway.config import HostSettings, Settings
from gateway.management.managed import Managed
from gateway.management.syncing import Result, sync
from gateway.simulator import Simulator, demo

BIG = replace(demo, name="big", size=8_000_000_000)


@asynccontextmanager
async def managed(*hosts: Simulator) -> AsyncIterator[Managed]:
    """Manage these hosts, which were looked at."""
    named = tuple(HostSettings(url=host.url, name=f"gpu-{place}") for place, host in enumerate(hosts, start=1))
    settings = Settings(hosts=named)
    async with fleet_of(settings) as fleet:
        yield Managed(fleet, Catalogue({}), settings)


def empty(**settings: float) -> Simulator:
    return Simulator(models=[], registry=[BIG], **settings)  # type: ignore[arg-type]


@pytest.fixture
def told() -> list[Step]:
    return []


async def test_what_is_told_ends_before_what_the_result_says(told):
    async with empty() as one, empty() as other, managed(one, other) as hosts:
        result = await sync(hosts, "big", "all", told.append)

    assert result == Result(model="big", good=True, pulled=True, having=("gpu-1", "gpu-2"))
    assert told[0] == Step(status="pulling on gpu-1, gpu-2")
    assert told[1] == Step(status="pulling manifest")
    assert told[-1] == Step(status="writing manifest")
    assert max(step.total for step in told) == 2 * BIG.size


async def test_nothing_is_told_where_nothing_is_pulled(told):
    async with Simulator(models=[BIG]) as host, managed(host) as hosts:
        result = await sync(hosts, "big", "all", told.append)

    assert result == Result(model="big", good=True, pulled=False, having=("gpu-1",))
    assert told == []


async def test_a_host_that_went_down_since_it_was_looked_at_does_not_take_part(told):
    async with empty() as one, empty() as other, managed(one, other) as hosts:
        await other.kill()
        result = await sync(hosts, "big", "all", told.append)

    assert result == Result(model="big", good=False, pulled=True, having=("gpu-1",), down=("gpu-2",))
    assert told[0] == Step(status="pulling on gpu-1")


@pytest.mark.parametrize("placement", ["all", "any", ("gpu-1",)])
async def test_when_all_went_down_since_they_were_looked_at_that_is_said(placement, told):
    async with empty() as one, managed(one) as hosts:
        await one.kill()
        result = await sync(hosts, "big", placement, told.append)

    assert result == Result(model="big", good=False, pulled=True, having=(), down=("gpu-1",))
    assert told == []


async def test_a_host_that_dies_in_the_middle_fails_and_the_others_go_on(told):
    async with empty() as one, empty(pull_seconds=60) as other, managed(one, other) as hosts:
        syncing = asyncio.create_task(sync(hosts, "big", "all", told.append))
        await other.wait_until(lambda: bool(other.downloading))
        await other.kill()
        result = await syncing

    assert (result.good, result.having, list(result.failed)) == (False, ("gpu-1",), ["gpu-2"])
    assert f"gpu-2 failed: {result.failed['gpu-2']}" in [step.status for step in told]


async def test_whoever_cancels_it_stops_the_hosts(told):
    async with empty(pull_seconds=60) as one, empty(pull_seconds=60) as other, managed(one, other) as hosts:
        syncing = asyncio.create_task(sync(hosts, "big", "all", told.append))
        await one.wait_until(lambda: bool(one.downloading and other.downloading))
        syncing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await syncing
        await one.wait_until(lambda: not one.downloading and not other.downloading)

        assert dict(one.models) == dict(other.models) == {}

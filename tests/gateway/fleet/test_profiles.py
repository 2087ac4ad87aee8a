"""What a request needs to know of a model is asked once, and a failure to tell is nobody else's."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from adapters.errors import HostBroken, HostTimeout
from gateway.simulator import Simulator, demo
from gateway.simulator.faults import Hang, Reply
from tests.gateway.fleet.fleets import asked, look, looking
from tests.running import eventually

DEMO = "demo:latest"
SHOW = "/api/show"


@pytest.fixture(autouse=True)
def _requests_come_first(monkeypatch):
    """Nothing is asked in the background."""
    monkeypatch.setattr("gateway.fleet.profiles.Learner.learn", lambda _: None)


@pytest.fixture
async def host():
    async with Simulator() as host:
        yield host


async def test_it_is_asked_once(host):
    async with looking(host) as fleet:
        (choice,) = fleet.candidates(DEMO)
        before = fleet.known(choice)
        profiles = [await fleet.profile(choice) for _ in range(3)]
        await look(fleet)
        profiles.append(await fleet.profile(choice))

        assert before is None
        assert fleet.known(choice) is profiles[0]
    assert profiles[0].capabilities == frozenset(demo.capabilities)
    assert all(profile is profiles[0] for profile in profiles)
    assert asked(host, SHOW) == 1


async def test_requests_at_the_same_time_ask_once_and_one_that_leaves_takes_nothing_from_the_others(host):
    async with looking(host) as fleet:
        (choice,) = fleet.candidates(DEMO)
        leaves, *others = [asyncio.create_task(fleet.profile(choice)) for _ in range(3)]
        await asyncio.sleep(0)
        leaves.cancel()
        profiles = await asyncio.gather(*others)

        assert leaves.cancelled()
    assert profiles[0] is profiles[1]
    assert asked(host, SHOW) == 1


@pytest.mark.usefixtures("impatient")
async def test_a_failure_that_nobody_waits_for_any_more_is_not_the_next_requests(host):
    host.script(Hang(path=SHOW))
    async with looking(host) as fleet:
        (choice,) = fleet.candidates(DEMO)
        caller = asyncio.create_task(fleet.profile(choice))
        await eventually(lambda: asked(host, SHOW))
        caller.cancel()
        await eventually(lambda: not fleet._profiles._asking)
        profile = await fleet.profile(choice)

    assert profile.capabilities == frozenset(demo.capabilities)
    assert asked(host, SHOW) == 2


@pytest.mark.usefixtures("impatient")
async def test_a_host_that_hangs_is_too_slow_for_all_who_wait(host):
    host.script(Hang(path=SHOW))
    async with looking(host) as fleet:
        (choice,) = fleet.candidates(DEMO)
        ends = await asyncio.gather(*(fleet.profile(choice) for _ in range(3)), return_exceptions=True)

    assert [type(end) for end in ends] == [HostTimeout] * 3
    assert asked(host, SHOW) == 1


@pytest.mark.parametrize("lie", [Reply(500, path=SHOW), Reply(body=b"[]", path=SHOW)], ids=["500", "a lie"])
async def test_a_failure_is_asked_again(host, lie):
    host.script(lie)
    async with looking(host) as fleet:
        (choice,) = fleet.candidates(DEMO)
        with pytest.raises(HostBroken):
            await fleet.profile(choice)
        assert (await fleet.profile(choice)).capabilities == frozenset(demo.capabilities)


async def test_a_mistake_of_ours_is_not_kept(host, monkeypatch):
    async with looking(host) as fleet:
        (choice,) = fleet.candidates(DEMO)
        with monkeypatch.context() as broken:
            broken.setattr("adapters.ollama.inventory.decode_show", lambda body: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                await fleet.profile(choice)
        assert (await fleet.profile(choice)).capabilities == frozenset(demo.capabilities)


async def test_hosts_of_one_version_are_asked_once_and_those_of_another_by_themselves(host):
    async with Simulator() as same, Simulator(version="0.24.0") as older, looking(host, same, older) as fleet:
        profiles = [await fleet.profile(choice) for choice in fleet.candidates(DEMO)]

        assert profiles[0] is profiles[1]
        assert profiles[2] is not profiles[0]
        assert [asked(one, SHOW) for one in (host, same, older)] == [1, 0, 1]


async def test_a_host_is_asked_again_when_its_version_changes(host):
    async with looking(host) as fleet:
        (choice,) = fleet.candidates(DEMO)
        await fleet.profile(choice)
        host.version = "0.34.1"
        await look(fleet)
        forgotten = fleet.known(choice) is None
        await fleet.profile(choice)

    assert forgotten
    assert asked(host, SHOW) == 2


async def test_it_is_forgotten_with_the_model(host):
    async with looking(host) as fleet:
        (choice,) = fleet.candidates(DEMO)
        await fleet.profile(choice)
        host.remove(demo)
        await look(fleet)

        assert fleet.known(choice) is None


async def test_a_model_without_a_digest_is_asked_each_time(host):
    async with looking(host) as fleet:
        choice = replace(fleet.candidates(DEMO)[0], digest="")
        await fleet.profile(choice)
        await fleet.profile(choice)

        assert fleet.known(choice) is None
    assert asked(host, SHOW) == 2


async def test_a_fleet_that_stops_asks_no_more(host):
    host.script(Hang(path=SHOW))
    async with looking(host) as fleet:
        (choice,) = fleet.candidates(DEMO)
        caller = asyncio.create_task(fleet.profile(choice))
        await eventually(lambda: asked(host, SHOW))

    with pytest.raises(asyncio.CancelledError):
        await caller
    await host.wait_until(lambda: host.connections == 0)

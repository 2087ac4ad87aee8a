"""What models are like is learned in the background: each once, one after the other, and in nobody's way."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from adapters.errors import HostUnreachable
from gateway.simulator import Simulator, demo, named
from gateway.simulator.faults import Drip, Hang, Reply
from tests.gateway.fleet.fleets import asked, look, looking
from tests.gateway.simulator.tiny import tiny_chat, tiny_embed, tiny_native, tiny_plain, tiny_vision_label
from tests.running import eventually, learning

DEMO = "demo:latest"
SHOW = "/api/show"
MANY = named(*(f"m{number}" for number in range(40)))


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr("gateway.fleet.profiles.PAUSE", 0)


@pytest.fixture
async def host():
    async with Simulator() as host:
        yield host


def shown(host: Simulator) -> list[str]:
    """Return the models that a host was asked for."""
    return [request.json["model"] for request in host.requests if request.path == SHOW]


async def test_it_is_known_before_a_request_needs_it(host):
    async with looking(host) as fleet:
        (choice,) = fleet.candidates(DEMO)
        known = fleet.known(choice)
        asked_for = await fleet.profile(choice)
        await look(fleet)

    assert known is asked_for
    assert known is not None
    assert known.capabilities == frozenset(demo.capabilities)
    assert asked(host, SHOW) == 1


async def test_every_model_is_asked_for_once_and_only_one_at_a_time():
    async with Simulator(models=MANY) as host, looking(host) as fleet:
        await look(fleet)

        assert sorted(shown(host)) == sorted(f"{model.name}:latest" for model in MANY)
        assert len(fleet.able("tools")) == len(MANY)
    connections = {request.connection for request in host.requests if request.path == SHOW}
    assert len(connections) == 1


async def test_hosts_share_what_they_learn():
    async with Simulator(models=MANY) as one, Simulator(models=MANY) as other, looking(one, other) as fleet:
        assert len(fleet.able("tools")) == len(MANY)

    assert len(shown(one)) + len(shown(other)) == len(MANY)


async def test_a_model_of_another_version_is_learned_by_itself(host):
    async with Simulator(version="0.24.0") as older, looking(host, older) as fleet:
        profiles = [fleet.known(choice) for choice in fleet.candidates(DEMO)]

    assert None not in profiles
    assert profiles[0] is not profiles[1]
    assert [shown(host), shown(older)] == [[DEMO], [DEMO]]


async def test_names_of_one_digest_are_one_question(monkeypatch):
    monkeypatch.setattr("gateway.simulator.SimulatedModel.digest", "a" * 64)
    async with Simulator(models=MANY) as host, looking(host) as fleet:
        assert len(fleet.able("tools")) == len(MANY)

    assert len(shown(host)) == 1


async def test_a_model_that_was_pulled_is_learned_after_a_look(host):
    async with looking(host) as fleet:
        host.add(*named("new"))
        await look(fleet)
        (choice,) = fleet.candidates("new:latest")

        assert fleet.known(choice) is not None
    assert shown(host) == [DEMO, "new:latest"]


@pytest.mark.parametrize("fault", [Reply(500, path=SHOW), Reply(body=b"[]", path=SHOW), Reply(403, path=SHOW)])
async def test_a_failure_is_made_up_for_after_the_next_look_and_nobody_is_told(host, log, fault):
    host.script(fault)
    async with looking(host) as fleet:
        (choice,) = fleet.candidates(DEMO)
        before = fleet.known(choice)
        await look(fleet)

        assert before is None
        assert fleet.known(choice) is not None
    assert [line["event"] for line in log()] == ["host is up"]


async def test_a_model_that_cannot_be_told_of_holds_up_no_other():
    async with Simulator(models=named("a", "b", "c")) as host:
        host.script(Reply(500, path=SHOW))
        async with looking(host) as fleet:
            first = shown(host)
            await look(fleet)

            assert first == ["a:latest"]
            assert shown(host)[1:] == ["b:latest", "c:latest", "a:latest"]
            assert fleet.able("tools") == ["a", "b", "c"]


async def test_a_host_that_tells_nothing_is_asked_one_thing_at_each_look():
    async with Simulator(models=named("a", "b", "c")) as host:
        host.script(Reply(500, path=SHOW, times=None))
        async with looking(host) as fleet:
            for _ in range(4):
                await look(fleet)

    assert shown(host) == ["a:latest", "b:latest", "c:latest", "a:latest", "b:latest"]


async def test_a_host_that_is_down_is_not_asked(host):
    host.script(Reply(500, path="/api/tags", times=None))
    async with looking(host) as fleet:
        await look(fleet)

        assert not learning(fleet)
    assert shown(host) == []


async def test_a_host_that_goes_down_is_asked_no_further(host):
    async with looking(host) as fleet:
        host.add(*MANY)
        host.script(Drip(0.0001, path=SHOW))
        waiting = asyncio.create_task(look(fleet))
        await eventually(lambda: len(shown(host)) == 2)
        host.script(*(Reply(500, path=path, times=None) for path in ("/api/version", "/api/tags")))
        fleet.failed(fleet.candidates(DEMO)[0], DEMO, HostUnreachable("It is gone."))
        await waiting

        assert len(fleet._profiles._known) == 2  # it told to the end what it was telling
    assert len(shown(host)) == 2


async def test_a_host_that_has_become_another_version_is_asked_anew(host):
    async with looking(host) as fleet:
        host.add(*MANY)
        host.script(Drip(0.0001, path=SHOW))
        waiting = asyncio.create_task(look(fleet))
        await eventually(lambda: len(shown(host)) == 2)
        host.version = "0.34.1"
        await asyncio.gather(waiting, look(fleet))
        await look(fleet)

        versions = [str(version) for _, version in fleet._profiles._known]
        assert versions.count("0.34.1") == len(MANY) + 1
        assert versions.count("0.33.0") <= 1  # it was being told of as the version changed


async def test_a_request_does_not_wait_for_those_that_come_before_its_model(host):
    async with looking(host) as fleet:
        host.add(*MANY)
        host.script(Hang(path=SHOW))
        waiting = asyncio.create_task(look(fleet))
        await eventually(lambda: len(shown(host)) == 2)
        (choice,) = fleet.candidates("m39:latest")
        profile = await fleet.profile(choice)
        waiting.cancel()

        assert profile is fleet.known(choice)
    assert shown(host)[2:] == ["m39:latest"]


async def test_a_request_and_the_background_ask_together(host):
    async with looking(host) as fleet:
        host.add(*named("new"))
        host.script(Drip(0.0001, path=SHOW))
        waiting = asyncio.create_task(look(fleet))
        await eventually(lambda: len(shown(host)) == 2)
        (choice,) = fleet.candidates("new:latest")
        profile = await fleet.profile(choice)
        await waiting

        assert profile is fleet.known(choice)
    assert shown(host) == [DEMO, "new:latest"]


async def test_a_fleet_that_stops_waits_for_nothing(host):
    async with looking(host) as fleet:
        host.add(*MANY)
        host.script(Hang(path=SHOW, times=None))
        waiting = asyncio.create_task(look(fleet))
        await eventually(lambda: len(shown(host)) == 2)
    await waiting
    await host.wait_until(lambda: host.connections == 0)

    assert len(shown(host)) == 2


async def test_a_mistake_of_ours_is_logged_and_made_up_for(host, log, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr("adapters.ollama.inventory.decode_show", lambda body: 1 / 0)
        async with looking(host) as fleet:
            (choice,) = fleet.candidates(DEMO)
            unknown = fleet.known(choice)
            broken.undo()
            await look(fleet)

            assert unknown is None
            assert fleet.known(choice) is not None
    (line,) = log("look at host failed")
    assert "ZeroDivisionError" in line["traceback"]


async def test_models_without_digests_are_not_learned(host, monkeypatch):
    monkeypatch.setattr("gateway.simulator.SimulatedModel.digest", "")
    async with looking(host) as fleet:
        (choice,) = fleet.candidates(DEMO)

        assert choice.digest == ""
        assert fleet.known(choice) is None
        assert fleet.able("tools") == []
    assert shown(host) == []


# --- who can what -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("capability", "names"),
    [
        ("completion", ["team/plain:v1", "tiny-chat", "tiny-native", "tiny-vision-label"]),
        ("tools", ["tiny-chat", "tiny-native", "tiny-vision-label"]),
        ("insert", ["tiny-chat", "tiny-vision-label"]),
        ("vision", ["tiny-vision-label"]),
        ("embedding", ["tiny-embed"]),
        ("audio", []),
    ],
)
async def test_models_that_have_a_capability_by_their_short_names(capability, names):
    old = Simulator(models=[tiny_chat, replace(tiny_embed, capabilities=("embedding", "tools"))], version="0.24.0")
    new = Simulator(models=[tiny_native, tiny_vision_label, replace(tiny_plain, name="team/plain:v1")])
    async with old, new, looking(old, new) as fleet:
        assert fleet.able(capability) == names


async def test_one_host_where_a_model_can_is_enough():
    plain = Simulator(models=[replace(tiny_plain, name="m")], version="0.24.0")
    chat = Simulator(models=[replace(tiny_chat, name="M")], version="0.33.0")
    async with plain, chat, looking(plain, chat) as fleet:
        both = fleet.able("tools")
        fleet.failed(fleet.candidates("m:latest")[1], "m:latest", HostUnreachable("It is gone."))

        assert both == ["m"]
        assert fleet.able("tools") == []


async def test_a_model_of_a_host_that_is_down_is_not_offered(host):
    async with looking(host) as fleet:
        before = fleet.able("tools")
        fleet.failed(fleet.candidates(DEMO)[0], DEMO, HostUnreachable("It is gone."))

        assert (before, fleet.able("tools")) == (["demo"], [])

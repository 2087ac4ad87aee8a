"""What the fleet knows of its hosts together, and what requests teach it."""

from __future__ import annotations

import asyncio

import pytest

from adapters.errors import HostBroken, HostLacksModel, HostTimeout, HostUnreachable
from gateway.simulator import SimulatedModel, Simulator, named
from gateway.simulator.faults import Hang, Reply
from tests.gateway.fleet.fleets import asked, load, look, looking, view
from tests.running import eventually, running

DEMO = "demo:latest"


class Rebuilt(SimulatedModel, frozen=True, kw_only=True):
    """A model whose name stands for other weights than on other hosts."""

    @property
    def digest(self) -> str:
        return "b" * 64


@pytest.fixture
async def host():
    async with Simulator() as host:
        yield host


async def test_hosts_with_different_weights_under_one_name_are_both_candidates(host):
    async with Simulator(models=[Rebuilt(name="demo")]) as other, looking(host, other) as fleet:
        found = fleet.candidates(DEMO)

    assert [(one.host, one.model) for one in found] == [("host-0", DEMO), ("host-1", DEMO)]
    assert found[0].digest != found[1].digest == "b" * 64


async def test_a_candidate_has_what_its_choice_depends_on(host):
    await load(host)
    async with looking(host) as fleet:
        (choice,) = fleet.candidates(DEMO)
        fleet.enter(choice, DEMO)
        fleet.enter(choice, DEMO)
        (busy,) = fleet.candidates(DEMO)
        fleet.leave(choice, DEMO)
        fleet.leave(choice, DEMO)
        (free,) = fleet.candidates(DEMO)

    assert (choice.resident, choice.in_flight, choice.parallel, choice.turn) == (True, 0, 1, 0)
    assert (busy.in_flight, busy.turn) == (2, 2)
    assert (free.in_flight, free.turn) == (0, 2)


async def test_hosts_that_were_tried_are_left_out(host):
    async with Simulator() as other, looking(host, other) as fleet:
        assert [one.host for one in fleet.candidates(DEMO, {"host-0"})] == ["host-1"]


async def test_a_model_that_was_pulled_is_found_when_somebody_asks_for_it(host):
    async with looking(host) as fleet:
        host.add(*named("new"))
        before = fleet.candidates("new:latest")
        await fleet.refresh()

        assert before == []
        assert [one.model for one in fleet.candidates("new:latest")] == ["new:latest"]
        assert fleet.names() == [DEMO, "new:latest"]


async def test_a_model_that_was_deleted_is_gone_after_a_look(host):
    host.add(*named("old"))
    async with looking(host) as fleet:
        host.remove(*named("old"))
        await fleet.refresh()

        assert fleet.candidates("old:latest") == []
        assert fleet.names() == [DEMO]


async def test_a_request_for_a_model_that_was_pulled_a_moment_ago_is_answered(host):
    async with running(host, probe_interval=3600) as gateway:
        missing = await gateway.chat(model="new")
        host.add(*named("new"))
        found = await gateway.chat(model="new")
        host.remove(*named("new"))
        gone = await gateway.chat(model="new")

    assert [answer.status_code for answer in (missing, found, gone)] == [404, 200, 404]


async def test_a_host_that_stalls_does_not_hold_up_what_others_show(host, monkeypatch):
    monkeypatch.setattr("gateway.fleet.fleet.REFRESH", 0.2)
    async with Simulator() as other, looking(host, other) as fleet:
        host.script(Hang(path="/api/tags", times=None))
        other.add(*named("new"))
        await fleet.refresh()

        await eventually(lambda: fleet.candidates("new:latest"))
        assert [one.host for one in fleet.candidates("new:latest")] == ["host-1"]


async def test_a_host_that_is_down_is_not_asked_for_what_nobody_has(host):
    host.script(Reply(500, path="/api/tags", times=None))
    async with looking(host) as fleet:
        asked_before = asked(host, "/api/tags")
        await fleet.refresh()

        assert asked(host, "/api/tags") == asked_before


async def test_a_new_version_is_seen(host):
    async with looking(host) as fleet:
        before = str(view(fleet).version)
        host.version = "0.34.1"
        await look(fleet)

        assert (before, str(view(fleet).version)) == ("0.33.0", "0.34.1")


async def test_models_are_found_however_their_hosts_spell_them():
    async with Simulator(models=named("Team/Chat:V2")) as host, looking(host) as fleet:
        (choice,) = fleet.candidates("team/chat:v2")

        assert choice.model == "Team/Chat:V2"
        assert [*fleet.models()] == ["team/chat:v2"]


async def test_work_is_told_by_the_name_that_the_host_has_for_it():
    models = named("Team/Chat:V2")
    async with Simulator(models=models) as host, looking(host) as fleet:
        (choice,) = fleet.candidates("team/chat:v2")
        fleet.enter(choice, "team/chat:v2")
        known = fleet.at_work()
        host.remove(*models)
        await look(fleet)
        unknown = fleet.at_work()
        fleet.leave(choice, "team/chat:v2")

        assert known == [("Team/Chat:V2", "host-0", 1)]
        assert unknown == [("team/chat:v2", "host-0", 1)]
        assert fleet.at_work() == []


async def test_a_request_that_cannot_reach_a_host_takes_it_out_and_says_so_once(host, log):
    await load(host)
    async with looking(host) as fleet:
        (choice,) = fleet.candidates(DEMO)
        await host.kill()
        fleet.failed(choice, DEMO, HostUnreachable("A model host cannot be reached.", detail="refused"))

        assert (fleet.candidates(DEMO), fleet.models(), fleet.names()) == ([], {}, [])
        assert [one.label for one in fleet.down(DEMO)] == ["host-0"]
        assert dict(view(fleet).residents) == {}
        assert 'ollama_gateway_host_up{host="host-0"} 0.0' in fleet._metrics.render([]).decode()
        await look(fleet)
    assert [line["event"] for line in log()] == ["host is up", "host failed", "host is down"]
    assert log("host is down")[0]["reason"] == "refused"


async def test_a_host_that_a_request_could_not_reach_is_looked_at_at_once(host, log):
    async with looking(host) as fleet:
        (choice,) = fleet.candidates(DEMO)
        fleet.failed(choice, DEMO, HostUnreachable("A model host cannot be reached."))
        await eventually(lambda: view(fleet).up)

        assert len(fleet.candidates(DEMO)) == 1
        assert 'ollama_gateway_host_up{host="host-0"} 1.0' in fleet._metrics.render([]).decode()
    assert [line["event"] for line in log()] == ["host is up", "host failed", "host is down", "host is up"]


@pytest.mark.parametrize("error", [HostBroken("It was cut."), HostTimeout("It took too long.")])
async def test_a_request_that_fails_at_a_host_leaves_it_in_and_has_it_looked_at(host, log, error):
    async with looking(host) as fleet:
        (choice,) = fleet.candidates(DEMO)
        seen = asked(host, "/api/tags")
        fleet.failed(choice, DEMO, error)

        assert len(fleet.candidates(DEMO)) == 1
        await eventually(lambda: asked(host, "/api/tags") > seen)
    assert [line["event"] for line in log()] == ["host is up", "host failed"]


async def test_a_model_that_a_host_lacks_after_all_is_left_out_until_it_is_seen_again(host, log):
    host.add(*named("other"))
    async with looking(host) as fleet:
        (choice,) = fleet.candidates(DEMO)
        fleet.failed(choice, DEMO, HostLacksModel("It is not there."))

        assert fleet.candidates(DEMO) == []
        assert len(fleet.candidates("other:latest")) == 1
        await eventually(lambda: fleet.candidates(DEMO))
    assert [line["event"] for line in log()] == ["host is up", "host failed"]


async def test_a_model_that_was_loaded_is_seen_to_be_resident(host):
    async with looking(host) as fleet:
        (cold,) = fleet.candidates(DEMO)
        await load(host)
        fleet.loaded(cold)
        await eventually(lambda: fleet.candidates(DEMO)[0].resident)

        assert not cold.resident


async def test_one_answer_that_fails_refuses_no_request(host):
    async with running(host, probe_interval=3600) as gateway:
        for path in ("/api/ps", "/api/tags", "/api/version"):
            host.script(Reply(500, path=path))
            await gateway.seen()
            assert (await gateway.chat()).status_code == 200
            await gateway.seen()


async def test_a_fleet_can_be_stopped_in_the_middle_of_a_look(host):
    async with looking(host) as fleet:
        host.script(Hang(path="/api/tags"))
        seen = asked(host, "/api/tags")
        waiting = asyncio.ensure_future(look(fleet))
        await eventually(lambda: asked(host, "/api/tags") > seen)
        waiting.cancel()

    await host.wait_until(lambda: host.connections == 0)

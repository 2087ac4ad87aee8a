"""A push: by one host that has the model."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from gateway.config import ModelSettings
from gateway.simulator import Simulator
from gateway.simulator.faults import Cut, error_line, refusal
from tests.gateway.simulator.tiny import tiny_chat
from tests.native.managing import asked, fleet, is_own, lines, manage, see_nothing, statuses

PUSH = "/api/push"

NEWER = replace(tiny_chat, system="Be kind.")


async def test_one_host_that_has_it_pushes_it():
    async with fleet() as (gateway, hosts):
        hosts[1].add(tiny_chat)
        hosts[2].add(tiny_chat)
        answer = await manage(gateway, PUSH, model="tiny-chat")
        whole = await manage(gateway, PUSH, model="tiny-chat", stream=False)

    assert (answer.headers["x-gateway-host"], answer.headers["x-gateway-route"]) == (
        "host-1",
        "has the model, 2 hosts",
    )
    assert statuses(answer) == ["retrieving manifest", "pushing manifest", "success"]
    assert (whole.headers["content-type"], whole.content) == ("application/json", b'{"status":"success"}')
    assert [len(asked(host, PUSH)) for host in hosts] == [0, 2, 0]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("body", [{"model": "nope"}, {}, {"model": "a/b/c/d/e"}])
async def test_what_no_host_has_is_told_in_a_host_s_own_words(body, stream):
    body = body if stream else {**body, "stream": False}
    async with fleet() as (gateway, hosts), Simulator(version="0.24.0") as twin:
        await is_own(gateway, twin, PUSH, body)

        assert [len(asked(host, PUSH)) for host in hosts] == [1, 0, 0]


@pytest.mark.parametrize("fault", [error_line(1, "registry is down", path=PUSH), refusal(500, "busy", path=PUSH)])
async def test_what_a_host_says_is_the_last_word(fault):
    async with fleet() as (gateway, hosts):
        for host in hosts:
            host.add(tiny_chat)
        hosts[0].script(fault)
        answer = await manage(gateway, PUSH, model="tiny-chat")

    assert answer.headers["x-gateway-host"] == "host-0"
    assert answer.text.endswith(('{"error":"registry is down"}\n', '{"error":"busy"}'))
    assert [len(asked(host, PUSH)) for host in hosts] == [1, 0, 0]


async def test_another_host_is_asked_when_the_first_does_not_answer():
    async with fleet() as (gateway, hosts):
        for host in hosts:
            host.add(tiny_chat)
        hosts[0].script(Cut(end="reset", path=PUSH))
        answer = await manage(gateway, PUSH, model="tiny-chat")

    assert statuses(answer)[-1] == "success"
    assert answer.headers["x-gateway-host"] == "host-0, host-1"


async def test_a_host_that_turns_out_to_be_down_has_no_say(monkeypatch):
    async with fleet(2) as (gateway, hosts):
        monkeypatch.setattr(gateway.gateway.fleet, "seen", see_nothing)
        await hosts[0].kill()
        answer = await manage(gateway, PUSH, model="nope")

    assert statuses(answer)[:2] == ["retrieving manifest", "couldn't retrieve manifest"]
    assert "/usr/share/ollama" in lines(answer)[-1]["error"]
    assert "host" not in lines(answer)[-1]["error"]
    assert answer.headers["x-gateway-hosts-down"] == "host-0"


async def test_it_is_pushed_by_one_of_the_hosts_that_are_named():
    async with fleet() as (gateway, hosts):
        for host in hosts:
            host.add(tiny_chat)
        await hosts[1].kill()
        answer = await manage(gateway, PUSH, "host-1,host-2", model="tiny-chat")

    assert statuses(answer)[-1] == "success"
    assert answer.headers["x-gateway-host"] == "host-2"
    assert answer.headers["x-gateway-hosts-down"] == "host-1"


# --- which host -------------------------------------------------------------------------------------------------------


@pytest.fixture
def add(monkeypatch):
    """Put a model on a host's disk, an hour after the one before."""
    hours = iter(range(1, 10))

    def add_later(host, model):
        now = next(hours) * 3_600_000_000_000
        monkeypatch.setattr("gateway.simulator.disk.time", SimpleNamespace(time_ns=lambda: now))
        host.add(model)

    return add_later


async def test_where_hosts_have_different_weights_the_newest_are_pushed(add):
    async with fleet() as (gateway, hosts):
        add(hosts[0], tiny_chat)
        add(hosts[1], NEWER)
        add(hosts[2], NEWER)
        hosts[2].script(Cut(end="reset", path=PUSH))
        answer = await manage(gateway, PUSH, model="tiny-chat")
        named = await manage(gateway, PUSH, "host-0", model="tiny-chat")

    assert (answer.headers["x-gateway-host"], named.headers["x-gateway-host"]) == ("host-2, host-1", "host-0")


async def test_older_weights_are_not_pushed_for_want_of_the_newest(add):
    async with fleet() as (gateway, hosts):
        add(hosts[0], tiny_chat)
        add(hosts[1], NEWER)
        await gateway.seen()
        await hosts[1].kill()
        answer = await manage(gateway, PUSH, model="tiny-chat")

    assert answer.status_code == 503
    assert "The newest weights of 'tiny-chat' are on host-1, which cannot be reached" in answer.json()["error"]
    assert asked(hosts[0], PUSH) == []


async def test_what_only_a_host_has_that_is_down_cannot_be_pushed_now():
    async with fleet() as (gateway, hosts):
        hosts[1].add(tiny_chat)
        await gateway.seen()
        await hosts[1].kill()
        answer = await manage(gateway, PUSH, model="tiny-chat")

    assert answer.status_code == 503
    assert "the host that has it is down" in answer.json()["error"]
    assert asked(hosts[0], PUSH) == []


async def test_a_host_that_is_named_and_lacks_it_is_told_with_who_has_it():
    async with fleet() as (gateway, hosts):
        hosts[1].add(tiny_chat)
        answer = await manage(gateway, PUSH, "host-0", model="tiny-chat")

    assert answer.status_code == 404
    assert answer.json()["error"].startswith("'tiny-chat' is not on host-0, but on host-1. ")


async def test_an_alias_is_not_followed():
    async with fleet(1, settings={"models": {"demo": ModelSettings(aliases=("gpt-4o-mini",))}}) as (gateway, _):
        answer = await manage(gateway, PUSH, model="gpt-4o-mini")

    assert (answer.status_code, answer.json()) == (
        400,
        {"error": "'gpt-4o-mini' is an alias of 'demo' here; name the model itself."},
    )

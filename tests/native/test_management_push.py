"""A push: by one host that has the model."""

from __future__ import annotations

import httpx2
import pytest

from gateway.simulator import Simulator
from gateway.simulator.faults import Cut, error_line, refusal
from tests.gateway.simulator.tiny import tiny_chat
from tests.native.managing import asked, fleet, lines, manage, see_nothing, statuses

PUSH = "/api/push"


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
    async with fleet() as (gateway, hosts), Simulator(version="0.24.0") as other:
        answer = await manage(gateway, PUSH, **body)
        async with httpx2.AsyncClient(base_url=other.url, trust_env=False) as client:
            own = await client.post(PUSH, json=body)
        hosts_asked = [len(asked(host, PUSH)) for host in hosts]

    assert (answer.status_code, answer.content) == (own.status_code, own.content)
    assert hosts_asked == [1, 0, 0]


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

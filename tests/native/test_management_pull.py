"""A pull on several hosts: all of them, any one, those that are named; and what becomes of it when hosts fail."""

from __future__ import annotations

import pytest

from adapters.ollama.answer import LINE_LIMIT
from gateway.config import ModelSettings, Timeouts
from gateway.simulator import Simulator
from gateway.simulator.faults import Cut, Drip, Reply, error_line, refusal
from tests.gateway.simulator.tiny import tiny_chat
from tests.native.managing import asked, fleet, have, is_own, lines, manage, see_nothing, statuses
from tests.running import running

PULL = "/api/pull"
NOT_FOUND = "pull model manifest: file does not exist"
NOT_HERE = "A model host cannot be reached."


async def test_every_host_pulls_it_and_the_next_request_sees_it():
    async with fleet() as (gateway, hosts):
        answer = await manage(gateway, PULL, model="tiny-chat")
        listed = (await gateway.client.get("/api/tags")).json()["models"]

    assert answer.headers["x-gateway-host"] == "host-0, host-1, host-2"
    assert answer.headers["x-gateway-route"] == "all, 3 hosts"
    assert "x-gateway-hosts-down" not in answer.headers
    assert statuses(answer)[0] == "pulling manifest"
    assert statuses(answer)[-1] == "success"
    assert {
        line["total"] for line in lines(answer) if line.get("digest", "").startswith(f"sha256:{tiny_chat.weights}")
    } == {3 * tiny_chat.size}
    assert have(hosts, "tiny-chat") == [True, True, True]
    assert [model["hosts"] for model in listed if model["name"] == "tiny-chat:latest"] == [
        ["host-0", "host-1", "host-2"]
    ]


async def test_hosts_are_asked_for_a_stream_and_the_caller_who_wants_none_gets_the_end():
    async with fleet() as (gateway, hosts):
        answer = await manage(gateway, PULL, model="tiny-chat", insecure=True, stream=False)

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.content == b'{"status":"success"}'
    assert [asked(host, PULL) for host in hosts] == [[{"model": "tiny-chat", "insecure": True, "stream": True}]] * 3


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "body", [{"model": "tiny-chat"}, {"name": "tiny-chat"}, {"model": "nope"}, {"model": "a/b/c/d/e"}, {}, {"model": 5}]
)
async def test_with_one_host_everything_is_its_own_to_the_byte(body, stream):
    body = body if stream else {**body, "stream": False}
    async with (
        Simulator(registry=[tiny_chat]) as one,
        Simulator(registry=[tiny_chat]) as twin,
        running(one) as gateway,
    ):
        await is_own(gateway, twin, PULL, body)


async def test_what_does_not_exist_is_told_with_all_hosts_by_name():
    async with fleet() as (gateway, _):
        streamed = await manage(gateway, PULL, model="nope")
        whole = await manage(gateway, PULL, model="nope", stream=False)

    assert statuses(streamed)[-1] == f"host-0, host-1, host-2: {NOT_FOUND}"
    assert (whole.status_code, whole.headers["content-type"]) == (500, "application/json")
    assert whole.json() == {"error": f"host-0, host-1, host-2: {NOT_FOUND}"}


async def test_what_every_host_refuses_is_told_in_a_host_s_own_bytes():
    async with fleet() as (gateway, _):
        answer = await manage(gateway, PULL, model="a/b/c/d/e")

    assert (answer.status_code, answer.content) == (400, b'{"error":"invalid model name"}')
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["x-gateway-host"] == "host-0, host-1, host-2"


@pytest.mark.parametrize(("first", "status"), [(400, 400), (503, 502)])
async def test_hosts_that_refuse_in_different_words_are_named(first, status):
    async with fleet(2) as (gateway, hosts):
        hosts[0].script(refusal(first, "no", path=PULL))
        hosts[1].script(refusal(400, "never", path=PULL))
        answer = await manage(gateway, PULL, model="tiny-chat")

    assert (answer.status_code, answer.json()) == (status, {"error": "host-0: no; host-1: never"})


# --- hosts that fail --------------------------------------------------------------------------------------------------


async def test_a_host_that_refuses_does_not_stop_the_others():
    async with fleet() as (gateway, hosts):
        hosts[1].script(refusal(500, "no space left on device", path=PULL))
        answer = await manage(gateway, PULL, model="tiny-chat")

    assert answer.status_code == 200
    assert "host-1 failed: no space left on device" in statuses(answer)
    assert statuses(answer)[-1] == "host-1: no space left on device. It is done on host-0, host-2."
    assert have(hosts, "tiny-chat") == [True, False, True]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (error_line(2, "no space left on device", path=PULL), "no space left on device"),
        (Cut(2, end="reset", path=PULL), "The connection to the host was cut before the end of its answer."),
        (Cut(2, end="close", path=PULL), "The host closed the connection in the middle of its answer."),
        (Cut(2, end="finish", path=PULL), "The host ended its answer without saying that it is done."),
        (Reply(path=PULL), "The host ended its answer without saying that it is done."),
        (Reply(body=b"<html>", path=PULL), "The host sent a line that makes no sense."),
        (
            Reply(body=b" " * (LINE_LIMIT + 1), path=PULL),
            f"The host sent a line of more than {LINE_LIMIT} bytes.",
        ),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_host_that_fails_in_the_middle_does_not_stop_the_others(fault, reason, stream):
    async with fleet(pull_seconds=0.05) as (gateway, hosts):
        hosts[2].script(fault)
        answer = await manage(gateway, PULL, model="tiny-chat", stream=stream)

    error = f"host-2: {reason.removesuffix('.')}. It is done on host-0, host-1."
    if stream:
        assert f"host-2 failed: {reason}" in statuses(answer)
        assert lines(answer)[-1] == {"error": error}
    else:
        assert (answer.status_code, answer.json()) == (500, {"error": error})
    assert have(hosts, "tiny-chat")[:2] == [True, True]


async def test_a_host_that_is_killed_in_the_middle_does_not_stop_the_others():
    async with (
        fleet(pull_seconds=0.3) as (gateway, hosts),
        gateway.client.stream("POST", PULL, json={"model": "tiny-chat"}) as answer,
    ):
        told = aiter(answer.aiter_lines())
        first = [await anext(told) for _ in range(3)]
        await hosts[0].kill()
        rest = [line async for line in told]

    assert first[0] == '{"status":"pulling manifest"}'
    assert rest[-1].startswith('{"error":"host-0: The connection to the host was cut')
    assert rest[-1].endswith('It is done on host-1, host-2."}')


async def test_a_host_alone_that_dies_is_an_error_line():
    async with fleet(1) as (gateway, hosts):
        hosts[0].script(Cut(2, end="reset", path=PULL))
        answer = await manage(gateway, PULL, model="tiny-chat")

    assert lines(answer)[-1] == {"error": "The connection to the host was cut before the end of its answer."}


async def test_hosts_may_be_silent_for_longer_than_a_model_may_think():
    impatient = Timeouts(first_byte=0.2, between=0.2)
    async with fleet(2, settings={"timeouts": impatient}, pull_seconds=1.0, pull_steps=1) as (gateway, hosts):
        answer = await manage(gateway, PULL, model="tiny-chat")

    assert statuses(answer)[-1] == "success"
    assert have(hosts, "tiny-chat") == [True, True]


async def test_bytes_may_come_one_at_a_time():
    async with fleet(2) as (gateway, hosts):
        hosts[1].script(Drip(0.0, path=PULL))
        answer = await manage(gateway, PULL, model="tiny-chat")

    assert statuses(answer)[-1] == "success"


# --- hosts that are down ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hosts_meant", ["", "all"])
async def test_hosts_that_are_down_are_left_out_and_listed(hosts_meant):
    async with fleet() as (gateway, hosts):
        await hosts[1].kill()
        answer = await manage(gateway, PULL, hosts_meant, model="tiny-chat")

    assert answer.headers["x-gateway-hosts-down"] == "host-1"
    assert answer.headers["x-gateway-host"] == "host-0, host-2"
    assert statuses(answer)[-1] == "success"
    assert have(hosts, "tiny-chat") == [True, False, True]


async def test_a_host_that_is_down_for_long_is_listed_too():
    async with fleet(2) as (gateway, hosts):
        await hosts[0].kill()
        await gateway.seen()
        answer = await manage(gateway, PULL, model="tiny-chat", stream=False)

    assert (answer.status_code, answer.headers["x-gateway-hosts-down"]) == (200, "host-0")


async def test_a_host_that_goes_down_just_before_it_is_asked_counts_as_down(monkeypatch):
    async with fleet(2) as (gateway, hosts):
        monkeypatch.setattr(gateway.gateway.fleet, "seen", see_nothing)
        await hosts[1].kill()
        answer = await manage(gateway, PULL, model="tiny-chat", stream=False)

    assert answer.status_code == 200
    assert answer.headers["x-gateway-hosts-down"] == "host-1"


async def test_a_host_that_was_named_and_is_down_is_a_failure_and_the_others_go_on():
    async with fleet() as (gateway, hosts):
        await hosts[1].kill()
        await gateway.seen()
        answer = await manage(gateway, PULL, "host-2, host-1", model="tiny-chat")

    assert answer.headers["x-gateway-hosts-down"] == "host-1"
    assert statuses(answer)[0] == "host-1 failed: The host is down."
    assert statuses(answer)[-1] == "host-1: The host is down. It is done on host-2."
    assert have(hosts, "tiny-chat") == [False, False, True]


async def test_when_no_host_that_is_meant_is_up_there_is_nobody_to_ask():
    async with fleet(2) as (gateway, hosts):
        await hosts[1].kill()
        await gateway.seen()
        answer = await manage(gateway, PULL, "host-1", model="tiny-chat")

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json() == {"error": "None of the hosts that are meant is up (host-1). Try again later."}


# --- which hosts ------------------------------------------------------------------------------------------------------


async def test_only_hosts_that_are_named_pull_it():
    async with fleet() as (gateway, hosts):
        answer = await manage(gateway, PULL, "host-2,host-0", model="tiny-chat")

    assert (answer.headers["x-gateway-host"], statuses(answer)[-1]) == ("host-0, host-2", "success")
    assert have(hosts, "tiny-chat") == [True, False, True]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("host-9", "there is no host 'host-9'; the hosts are host-0, host-1, host-2"),
        (",", "must say all, any, or names"),
    ],
)
async def test_a_host_that_there_is_not_is_a_mistake(said, reason):
    async with fleet() as (gateway, hosts):
        answer = await manage(gateway, PULL, said, model="tiny-chat")

    assert answer.status_code == 400
    assert reason in answer.json()["error"]
    assert have(hosts, "tiny-chat") == [False] * 3


async def test_the_configuration_says_which_hosts_get_a_model_unless_the_caller_does():
    settings = {"placement": ("host-2",), "models": {"tiny-chat": ModelSettings(placement=("host-1",))}}
    async with fleet(settings=settings) as (gateway, hosts):
        await manage(gateway, PULL, model="TINY-CHAT:latest")
        own = have(hosts, "tiny-chat")
        await manage(gateway, PULL, model="nope")
        general = [asked(host, PULL)[-1:] for host in hosts]
        await manage(gateway, PULL, "all", model="tiny-chat")

    assert own == [False, True, False]
    assert general == [[], [{"model": "TINY-CHAT:latest"}], [{"model": "nope"}]]
    assert have(hosts, "tiny-chat") == [True] * 3


async def test_any_is_one_host_that_has_it_or_else_the_emptiest():
    async with fleet() as (gateway, hosts):
        hosts[0].add(tiny_chat)
        hosts[1].add(tiny_chat)
        await gateway.seen()
        emptiest = await manage(gateway, PULL, "any", model="demo:other")
        having = await manage(gateway, PULL, "any", model="tiny-chat")

    assert emptiest.headers["x-gateway-host"] == "host-2"
    assert having.headers["x-gateway-host"] == "host-0"
    assert statuses(having)[-1] == "success"
    assert have(hosts, "tiny-chat") == [True, True, False]


@pytest.mark.parametrize("stream", [True, False])
async def test_any_goes_on_to_the_next_host_until_one_has_it(stream):
    async with fleet() as (gateway, hosts):
        hosts[0].script(refusal(500, "out of order", path=PULL))
        hosts[1].script(error_line(2, "no space left on device", path=PULL))
        answer = await manage(gateway, PULL, "any", model="tiny-chat", stream=stream)

    assert have(hosts, "tiny-chat") == [False, False, True]
    if stream:
        told = statuses(answer)
        assert told[:2] == ["host-0 failed: out of order", "pulling manifest"]
        assert "host-1 failed: no space left on device" in told
        assert told[-1] == "success"
    else:
        assert (answer.status_code, answer.content) == (200, b'{"status":"success"}')
        assert answer.headers["x-gateway-host"] == "host-0, host-1, host-2"


async def test_any_that_no_host_can_pull_names_each():
    async with fleet() as (gateway, hosts):
        hosts[1].script(error_line(1, "no space left on device", path=PULL))
        answer = await manage(gateway, PULL, "any", model="nope")
        refused = await manage(gateway, PULL, "any", model="a/b/c/d/e")

    assert lines(answer)[-1] == {"error": f"host-0, host-2: {NOT_FOUND}; host-1: no space left on device"}
    assert (refused.status_code, refused.content) == (400, b'{"error":"invalid model name"}')


async def test_any_passes_over_hosts_that_turn_out_to_be_down(monkeypatch):
    async with fleet() as (gateway, hosts):
        monkeypatch.setattr(gateway.gateway.fleet, "seen", see_nothing)
        await hosts[0].kill()
        answer = await manage(gateway, PULL, "any", model="tiny-chat")

    assert statuses(answer)[0] == "pulling manifest"
    assert statuses(answer)[-1] == "success"
    assert answer.headers["x-gateway-hosts-down"] == "host-0"


async def test_the_simulated_host_takes_no_part():
    demo_host = Simulator()
    async with Simulator(registry=[tiny_chat]) as one, running(one, demo=demo_host) as gateway:
        answer = await manage(gateway, PULL, model="tiny-chat")
        named = await manage(gateway, PULL, "demo", model="tiny-chat")

    assert answer.headers["x-gateway-host"] == "host-0"
    assert named.status_code == 400
    assert "'demo' is the simulated host, which takes no part in this; the hosts are host-0" in named.text
    assert asked(demo_host, PULL) == []

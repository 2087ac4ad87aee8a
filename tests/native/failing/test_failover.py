"""Before the first line, what fails at one host is answered by another; else the caller is told in Ollama's shape."""

from __future__ import annotations

import json

import pytest

from gateway.simulator import Simulator, named
from gateway.simulator.faults import Cut, Fail, Raw, Reply, busy, missing, out_of_memory, refusal, too_long
from tests.gateway.test_failover import BEFORE_THE_FIRST_EVENT
from tests.native.failing.asking import ask, asked, either, in_one_loop, order, text
from tests.native.trio import CHAT, HI, PATHS, SHOW, is_refusal, lines
from tests.running import eventually, running

SAID = "This is the demo model of ollama-gateway: a simulation, not a language model. You said: hi"


BEFORE = {
    **BEFORE_THE_FIRST_EVENT,
    # A connection that was used before may have been closed meanwhile, so a host is asked once more over a fresh one.
    "closed without a word": Raw(b"", times=2),
}
# A host whose answer is another object than Ollama's is believed: it may be a newer one.
del BEFORE["an answer of something else"]


@in_one_loop
@either
@pytest.mark.parametrize("fault", BEFORE.values(), ids=BEFORE)
async def test_a_failure_before_the_first_line_is_answered_by_the_next_host(served, fault, stream):
    first, second, gateway = served
    order(first, fault)
    answer = await ask(gateway, stream=stream)

    assert answer.status_code == 200
    assert answer.headers["x-gateway-host"] == "host-1"
    assert text(answer) == SAID
    assert lines(answer)[-1]["done"] is True
    assert asked(second) == 1
    await eventually(lambda: gateway.in_flight() == 0)
    await first.wait_idle()
    assert (await ask(gateway, stream=stream)).status_code == 200


@pytest.mark.parametrize(
    "fault", [Fail(0), Reply(500), Cut(0, inside="line"), busy()], ids=["500", "none", "cut", "busy"]
)
@pytest.mark.parametrize("path", [path for path in PATHS if path != SHOW])
@in_one_loop
async def test_every_path_fails_over(served, path, fault):
    order(served.first, fault, path)
    answer = await ask(served.gateway, path)

    assert (answer.status_code, answer.headers["x-gateway-host"]) == (200, "host-1")


async def test_what_a_host_tells_of_a_model_another_one_can_tell(pair):
    first, second = pair
    async with running(first, second) as gateway:
        order(first, Reply(500), SHOW)
        answer = await ask(gateway, SHOW)

    assert (answer.status_code, answer.headers["x-gateway-host"]) == (200, "host-1")
    assert "completion" in answer.json()["capabilities"]


async def test_a_whole_answer_begins_anew_elsewhere_when_its_host_dies_in_the_middle(pair):
    first, second = pair
    async with running(first, second) as gateway:
        order(first, Fail(5))
        answer = await ask(gateway, stream=False)

    assert (text(answer), answer.headers["x-gateway-host"]) == (SAID, "host-1")


@either
async def test_the_other_host_gets_the_same_bytes(pair, stream):
    first, second = pair
    body = json.dumps({"stream": stream, "model": "demo", **HI[CHAT]}, indent=3).encode()
    async with running(first, second) as gateway:
        order(first, Fail(0))
        await gateway.client.post(CHAT, content=body)

    assert [request.body for host in pair for request in host.requests if request.path == CHAT] == [body, body]


@pytest.mark.parametrize("path", [path for path in PATHS if path != SHOW])
@in_one_loop
async def test_when_all_hosts_fail_the_caller_is_told_in_the_words_of_one(served, path):
    for host in served[:2]:
        order(host, out_of_memory(), path)
    answer = await ask(served.gateway, path)

    assert is_refusal(answer, 500)
    assert answer.json()["error"] == "model requires more system memory (9.1 GiB) than is available (5.2 GiB)"


async def test_when_no_host_has_words_the_gateway_has_some(pair):
    async with running(*pair) as gateway:
        for host in pair:
            order(host, Raw(b"nonsense"))
        answer = await ask(gateway)

    assert is_refusal(answer, 502)


async def test_a_request_that_hosts_break_on_is_not_taken_to_all_of_them():
    async with Simulator() as a, Simulator() as b, Simulator() as c, running(a, b, c) as gateway:
        for host in (a, b, c):
            order(host, Fail(0))
        answer = await ask(gateway)

        assert is_refusal(answer, 500)
        assert sum(map(asked, (a, b, c))) == 2


@pytest.mark.parametrize("path", [path for path in PATHS if path != SHOW])
async def test_busy_hosts_are_all_tried_and_then_the_caller_is_told_so(path):
    async with Simulator() as a, Simulator() as b, Simulator() as c, running(a, b, c) as gateway:
        for host in (a, b, c):
            order(host, busy(), path)
        answer = await ask(gateway, path)

        assert is_refusal(answer, 503)
        assert answer.json()["error"] == "server busy, please try again.  maximum pending requests exceeded"
        assert answer.headers["retry-after"] == "2"
        assert [asked(host, path) for host in (a, b, c)] == [1, 1, 1]


@pytest.mark.parametrize(
    "fault",
    [
        too_long(),
        refusal(400, '"demo" does not support thinking'),
        refusal(500, 'option "num_ctx" must be of type integer'),
        refusal(403, "ollama cloud is disabled: remote model is unavailable"),
    ],
    ids=["too long", "thinking", "an option", "no cloud"],
)
@either
@in_one_loop
async def test_a_mistake_of_the_caller_is_told_in_the_hosts_own_bytes(served, fault, stream):
    order(served.first, fault)
    answer = await ask(served.gateway, stream=stream)

    assert (answer.status_code, answer.content) == (fault.status, fault.body)
    assert answer.headers["content-type"] == fault.content_type
    assert asked(served.second) == 0


async def test_where_to_sign_in_to_the_cloud_is_for_the_caller_to_know(pair):
    body = b'{"error":"unauthorized","signin_url":"https://ollama.com/connect"}'
    async with running(*pair) as gateway:
        for host in pair:
            order(host, Reply(401, body))
        answer = await ask(gateway)

    assert (answer.status_code, answer.content) == (401, body)


async def test_a_host_that_does_not_let_the_gateway_in_does_not_speak_to_the_caller(pair):
    first, _ = pair
    async with running(first) as gateway:
        order(first, Reply(401, b'{"error":"who are you at gpu-7.lan?"}'))
        answer = await ask(gateway)

    assert is_refusal(answer, 502)
    assert "gpu-7" not in answer.text


async def test_a_model_that_all_hosts_lack_after_all_is_not_found_in_their_words(pair):
    async with running(*pair) as gateway:
        for host in pair:
            order(host, missing("demo:latest"))
        answer = await ask(gateway)

    assert is_refusal(answer, 404)
    assert answer.json()["error"] == "model 'demo:latest' not found"


@pytest.mark.parametrize("path", PATHS)
async def test_a_model_on_a_host_that_is_down_is_not_there_now(path):
    first, second = Simulator(models=named("a")), Simulator(models=named("b"))
    async with first, second, running(first, second) as gateway:
        await first.kill()
        unreachable = await ask(gateway, path, model="a")
        down = await ask(gateway, path, model="a")
        other = await ask(gateway, path, model="b")

        assert is_refusal(unreachable, 502)
        assert is_refusal(down, 503)
        assert down.headers["retry-after"] == "5"
        assert "the host that has it is down" in down.json()["error"]
        assert other.status_code == 200
        assert other.headers["x-gateway-host"] == "host-1"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("model", ["demo", "nobody", ""])
async def test_no_host_is_up(pair, path, model):
    for host in pair:
        await host.kill()
    async with running(*pair) as gateway:
        answer = await ask(gateway, path, model=model)

    assert is_refusal(answer, 503)


async def test_a_host_that_was_never_up_may_have_the_model(pair):
    first, second = pair
    await second.kill()
    async with running(first, second) as gateway:
        answer = await ask(gateway, model="somewhere")

    assert is_refusal(answer, 503)
    assert "may have it" in answer.json()["error"]


async def test_a_host_that_judges_and_fails_is_told_of(pair):
    first, _ = pair
    async with running(first) as gateway:
        order(first, Raw(b""))
        answer = await ask(gateway, model="nobody")

    assert is_refusal(answer, 502)


async def test_the_simulated_host_judges_only_where_it_is_alone(pair):
    first, _ = pair
    async with running(first, demo=Simulator()) as gateway:
        beside = [await ask(gateway, model="nobody") for _ in range(3)]
    async with running(demo=Simulator()) as gateway:
        alone = await ask(gateway, model="nobody")

    assert asked(first) == 3
    assert {answer.json()["error"] for answer in (*beside, alone)} == {"model 'nobody' not found"}

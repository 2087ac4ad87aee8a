"""Completions before hosts that fail, callers that leave, and what the configuration says."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from msgspec.structs import replace

from adapters.openai.completions import StreamEncoder
from gateway.config import KeySettings, ModelSettings, Timeouts
from gateway.simulator import Simulator, named
from gateway.simulator.faults import Fail, Fault, Hang, Reply, error_line, missing, out_of_memory, too_long
from tests.gateway.simulator.tiny import tiny_chat, tiny_native_think, tiny_think
from tests.running import events, eventually, running

QUICK = Timeouts(connect=1, first_byte=0.3, between=0.3)
SAID = "Hello from the tiny model: café, 日本語 🙂 and goodbye."
CHAT = replace(tiny_chat, name="chat")


def order(host: Simulator, fault: Fault) -> None:
    """Order a fault for the next text: looks at the host do not use it up."""
    host.script(replace(fault, path="/api/generate"))


def generates(*hosts: Simulator) -> list[Any]:
    """Return the bodies of the requests for texts that hosts got."""
    return [request.json for host in hosts for request in host.requests if request.path == "/api/generate"]


async def complete(gateway, prompt="hi", *, model="chat", **fields):
    return await gateway.client.post("/v1/completions", json={"model": model, "prompt": prompt, **fields})


def texts(answer) -> dict[int, str]:
    """Return the text of each choice, of a stream or a whole answer."""
    if not answer.headers["content-type"].startswith("text/event-stream"):
        return {choice["index"]: choice["text"] for choice in answer.json()["choices"]}
    found: dict[int, str] = {}
    for choice in (choice for event in events(answer.text)[:-1] for choice in event["choices"]):
        found[choice["index"]] = found.get(choice["index"], "") + choice["text"]
    return found


@pytest.fixture
async def pair():
    """Two hosts with one model; the first is asked first."""
    async with Simulator(models=[CHAT]) as first, Simulator(models=[CHAT]) as second:
        yield first, second


both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])

# --- hosts that fail --------------------------------------------------------------------------------------------------

BEFORE_THE_FIRST_EVENT = {
    "hangs": Hang(),
    "the runner died": Fail(0),
    "out of memory": out_of_memory(),
    "missing after all": missing("chat:latest"),
    "an error line at once": error_line(0, "an error was encountered while running the model: unexpected EOF"),
    "the answer to a chat": Reply(body=b'{"message":{"content":"x"},"done":false}\n'),
    "an empty body": Reply(),
}


@both
@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("fault", BEFORE_THE_FIRST_EVENT.values(), ids=BEFORE_THE_FIRST_EVENT)
async def test_a_failure_before_the_first_event_is_answered_by_the_next_host(pair, fault, n, stream):
    first, second = pair
    async with running(first, second, timeouts=QUICK) as gateway:
        order(first, fault)
        answer = await complete(gateway, n=n, stream=stream)

        assert answer.status_code == 200
        assert texts(answer) == dict.fromkeys(range(n), SAID)
        assert len(generates(first, second)) == n + 1
        await eventually(lambda: gateway.in_flight() == 0)


@both
async def test_a_failure_within_an_answer_ends_all_choices(pair, stream):
    first, second = pair
    first.token_seconds = second.token_seconds = 0.01
    async with running(first, second) as gateway:
        for host in pair:
            order(host, Fail(3, times=None))
        answer = await complete(gateway, n=2, stream=stream)
        await eventually(lambda: first.in_flight == second.in_flight == gateway.in_flight() == 0)

    if stream:
        assert answer.status_code == 200
        *before, last = events(answer.text)
        assert last["error"]["code"] == "upstream_error"
        assert not any("error" in event for event in before)
    else:
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_error")


@both
async def test_one_choice_that_no_host_gives_fails_the_whole_with_its_status(pair, stream):
    first, second = pair
    first.first_token_seconds = second.first_token_seconds = 0.2
    async with running(first, second) as gateway:
        order(first, too_long())
        answer = await complete(gateway, n=2, stream=stream)
        await eventually(lambda: first.in_flight == second.in_flight == gateway.in_flight() == 0)

    assert answer.status_code == 400
    assert answer.json()["error"] | {"message": ""} == {
        "message": "",
        "type": "invalid_request_error",
        "param": "prompt",
        "code": "context_length_exceeded",
    }


async def test_the_best_of_answers_that_hosts_do_not_weigh(pair):
    first, _ = pair
    lines = b'{"response":"x","done":true,"done_reason":"stop"}'
    async with running(first) as gateway:
        for _ in range(2):
            order(first, Reply(body=lines))
        answer = await complete(gateway, best_of=2)

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "best_of")


async def test_a_defect_of_the_gateway_within_a_stream_is_an_error_event_too(pair, broken_at_the_third):
    first, _ = pair
    first.token_seconds = 0.01
    broken_at_the_third(StreamEncoder)
    async with running(first) as gateway:
        answer = await complete(gateway, stream=True)
        await eventually(lambda: first.in_flight == 0 and gateway.in_flight() == 0)

    assert events(answer.text)[-1]["error"]["code"] == "internal_error"
    assert "marmalade" not in answer.text


async def test_what_the_host_said_so_far_is_the_answer_when_it_gives_up_a_repetition(pair):
    first, _ = pair
    async with running(first) as gateway:
        answer = await complete(gateway, "ha<|s:repeat|>", stream=True, stream_options={"include_usage": True})

    *_, last, done = events(answer.text)
    assert texts(answer)[0].startswith(" ha" * 30)
    assert last["ollama"] == {"usage_estimated": True}
    assert last["usage"]["completion_tokens"] >= 30
    assert done == "[DONE]"


# --- several choices --------------------------------------------------------------------------------------------------


async def test_choices_are_made_at_the_same_time_where_slots_are_free():
    async with Simulator(models=[CHAT], parallel=2) as one, Simulator(models=[CHAT], parallel=2) as other:
        async with running(one, other) as gateway:
            for host in (one, other):  # where it is not in memory it would not be loaded for one request
                await gateway.client.post(f"{host.url}/api/generate", json={"model": CHAT.name})
            await gateway.seen()
            for host in (one, other):
                host.requests.clear()
            one.first_token_seconds = other.first_token_seconds = 0.1
            answer = await complete(gateway, ["a", "b"], n=2)

        assert (len(generates(one)), len(generates(other))) == (2, 2)
        assert answer.headers["x-gateway-host"] == "host-0, host-1"


async def test_pieces_of_all_choices_come_as_they_are_made(pair):
    first, _ = pair
    first.token_seconds = 0.01
    async with running(first) as gateway:
        answer = await complete(gateway, ["a", "b"], stream=True)

    order_told = [choice["index"] for event in events(answer.text)[:-1] for choice in event["choices"]]
    assert order_told not in (sorted(order_told), sorted(order_told, reverse=True))
    assert texts(answer) == {0: SAID, 1: SAID}


async def test_each_choice_of_a_prompt_has_a_seed_of_its_own(pair):
    first, _ = pair
    async with running(first, models={"chat": ModelSettings(options={"seed": 40})}) as gateway:
        await complete(gateway, ["a", "b"], n=2, seed=7)
        await complete(gateway, best_of=2)

    seeds = [(body["prompt"], body["options"]["seed"]) for body in generates(first)]
    assert sorted(seeds[:4]) == [("a", 7), ("a", 8), ("b", 7), ("b", 8)]
    assert sorted(seeds[4:]) == [("hi", 40), ("hi", 41)]


async def test_no_more_answers_are_made_than_the_configuration_allows(pair):
    first, _ = pair
    async with running(first, max_choices=3) as gateway:
        allowed = await complete(gateway, ["a", "b", "c"])
        refused = await complete(gateway, ["a", "b"], n=2)

    assert allowed.status_code == 200
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "prompt")
    assert len(generates(first)) == 3


# --- callers that leave -----------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("delay", ["load_seconds", "first_token_seconds", "token_seconds"])
async def test_the_host_stops_when_its_caller_leaves(delay, n, stream):
    async with Simulator(models=[CHAT], parallel=3) as host, running(host) as gateway:
        setattr(host, delay, 30)
        body = json.dumps({"model": "chat", "prompt": "hi", "n": n, "stream": stream})
        head = f"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write((head + body).encode())
        await eventually(lambda: len(generates(host)) == n)
        writer.close()
        await eventually(lambda: host.cancelled == n and host.in_flight == 0 and gateway.in_flight() == 0)

        setattr(host, delay, 0)
        assert (await complete(gateway)).status_code == 200


# --- what the configuration says --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("templated", "said", "raw"),
    [
        (False, {}, True),
        (True, {}, None),
        (True, {"raw": True}, True),
        (False, {"raw": False}, None),
        (False, {"system": "Be brief."}, None),
    ],
)
async def test_a_model_may_be_one_whose_prompts_go_into_its_template(pair, templated, said, raw):
    first, _ = pair
    async with running(first, models={"chat": ModelSettings(templated=templated, aliases=("davinci",))}) as gateway:
        answer = await complete(gateway, model="davinci", **said)

    assert answer.json()["model"] == "davinci"
    assert [body.get("raw") for body in generates(first)] == [raw]


async def test_how_a_model_thinks_in_chats_does_not_change_a_raw_text():
    models = [replace(tiny_think, name="a"), replace(tiny_native_think, name="b")]
    settings = {name: ModelSettings(think=True) for name in ("a", "b")}
    async with Simulator(models=models, version="0.33.0") as host, running(host, models=settings) as gateway:
        raw = [await complete(gateway, "hi<|s:think|>", model=name) for name in ("a", "b")]
        templated = [await complete(gateway, "hi", model=name, raw=False) for name in ("a", "b")]

    assert all(texts(answer)[0].startswith("<think>\nThe user greets me") for answer in raw)
    assert [texts(answer)[0] for answer in templated] == ["Hi! I thought about it."] * 2
    assert [body["think"] for body in generates(host)] == [False, False, True, True]


async def test_a_key_is_needed_where_there_are_keys(pair):
    first, _ = pair
    async with running(first, keys=(KeySettings(name="ada", secret="correct horse"),)) as gateway:
        assert (await complete(gateway)).status_code == 401


async def test_the_demo_model_goes_on_with_a_text():
    async with Simulator() as host, running(host) as gateway:
        answer = await complete(gateway, "hi", model="demo", max_tokens=5)

    assert answer.json()["choices"][0]["finish_reason"] == "length"


# --- what is remembered -----------------------------------------------------------------------------------------------


@both
async def test_one_record_has_what_all_answers_took(pair, monkeypatch, stream):
    first, second = pair
    lines: list[Any] = []
    monkeypatch.setattr("gateway.log._write", lines.append)
    async with running(first, second) as gateway:
        await complete(gateway, ["ab", "cd"], n=2, stream=stream, user="ada", max_tokens=3)
        page = (await gateway.client.get("/metrics")).text

    [line] = [line for line in lines if getattr(line, "path", "") == "/v1/completions"]
    assert (line.prompt_tokens, line.completion_tokens, line.tried) == (4, 12, 4)
    assert (line.model, line.user, line.stream, line.finish, line.status) == (
        "chat:latest",
        "ada",
        stream,
        "length",
        200,
    )
    assert 'route="completions"' in page


async def test_a_record_of_an_answer_that_failed_says_why(monkeypatch):
    lines: list[Any] = []
    monkeypatch.setattr("gateway.log._write", lines.append)
    async with Simulator(models=named("chat")) as host, running(host) as gateway:
        await complete(gateway, "", n=2)
        host.script(replace(too_long(), path="/api/generate", times=None))
        await complete(gateway, ["a", "b"])

    told = [line for line in lines if getattr(line, "path", "") == "/v1/completions"]
    assert [(line.status, line.error, line.param) for line in told] == [
        (400, "empty_string", "prompt"),
        (400, "context_length_exceeded", "prompt"),
    ]

"""A chat through the whole gateway, on real sockets."""

from __future__ import annotations

import asyncio
import gc

import pytest
from msgspec.structs import replace

from adapters.types import ChatRequest
from gateway.config import ModelSettings
from gateway.simulator import Simulator, demo
from gateway.simulator.faults import out_of_memory
from tests.running import chats, events, eventually, running, text

SAID = "This is the demo model of ollama-gateway: a simulation, not a language model. You said: hi"


@pytest.fixture
async def host():
    async with Simulator() as host:
        yield host


async def test_an_answer_says_who_gave_it_and_why(host):
    async with running(host) as gateway:
        first = await gateway.chat()
        await gateway.seen()
        second = await gateway.chat()

    assert first.status_code == 200
    assert first.headers["content-type"] == "application/json"
    assert first.headers["x-gateway-host"] == "host-0"
    assert first.headers["x-gateway-route"] == "cold, 0 of 4 in flight, 1 host"
    assert second.headers["x-gateway-route"] == "resident, 0 of 4 in flight, 1 host"
    assert "x-gateway-ignored" not in first.headers
    assert "server" not in first.headers
    assert first.json()["choices"][0]["message"]["content"] == SAID
    assert first.json()["system_fingerprint"].startswith("fp_")
    assert first.json()["id"] != second.json()["id"]


async def test_a_stream_says_the_same(host):
    async with running(host) as gateway:
        answer = await gateway.chat(stream=True)

    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["x-gateway-host"] == "host-0"
    assert text(answer.text) == SAID
    assert events(answer.text)[-1] == "[DONE]"


async def test_a_stream_comes_as_it_is_made(host):
    host.token_seconds = 0.05
    async with running(host) as gateway:
        body = {"model": "demo", "messages": [{"role": "user", "content": "hi"}], "stream": True}
        async with gateway.client.stream("POST", "/v1/chat/completions", json=body) as answer:
            arrived = [host.in_flight async for _ in answer.aiter_bytes()]

    assert len(arrived) > 10
    assert arrived[0] == 1  # the first piece is here while the host still works


@pytest.mark.parametrize("given", ["mine-123", "x" * 128])
async def test_a_usable_request_id_of_the_caller_is_kept(host, given):
    async with running(host) as gateway:
        answer = await gateway.client.get("/v1/models", headers={"x-request-id": given})

    assert answer.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "two words", "x" * 129, "caf\u00e9"])
async def test_another_request_id_is_replaced(host, given):
    async with running(host) as gateway:
        answer = await gateway.client.get("/v1/models", headers={"x-request-id": given.encode("latin-1")})

    assert answer.headers["x-request-id"].startswith("req_")


async def test_what_is_ignored_is_named(host):
    async with running(host) as gateway:
        answer = await gateway.chat(foo=1, verbosity="low", options={"mirostat": 1, "num_ctxx": 5})

    assert answer.headers["x-gateway-ignored"] == "foo, verbosity, options.mirostat, options.num_ctxx"


async def test_thinking_is_ignored_by_a_model_that_cannot(host):
    async with running(host) as gateway:
        answer = await gateway.chat(reasoning_effort="high")
        shows = [request.path for request in host.requests].count("/api/show")
        await gateway.chat(reasoning_effort="low", stop=["x"])

    assert answer.status_code == 200
    assert answer.headers["x-gateway-ignored"] == "reasoning_effort"
    assert "think" not in chats(host)[-1]
    assert [request.path for request in host.requests].count("/api/show") == shows == 1  # asked once for a digest


async def test_many_at_once_ask_for_a_profile_once(host):
    async with running(host) as gateway:
        answers = await asyncio.gather(*(gateway.chat(stop=["x"]) for _ in range(10)))

    assert {answer.status_code for answer in answers} == {200}
    assert [request.path for request in host.requests].count("/api/show") == 1


async def test_stops_are_added_to_the_models_own():
    model = replace(demo, name="m", parameters={"stop": ["<|own|>"]})
    async with Simulator(models=[model]) as host, running(host) as gateway:
        await gateway.chat(model="m", stop=["END"])
        await gateway.chat(model="m")

    assert [chat.get("options") for chat in chats(host)] == [{"stop": ["END", "<|own|>"]}, None]


async def test_an_alias_stands_for_a_model_and_is_repeated(host):
    models = {"demo": ModelSettings(aliases=("gpt-4o-mini",), options={"num_ctx": 2048}, keep_alive="1h")}
    async with running(host, models=models) as gateway:
        answer = await gateway.chat(model="GPT-4o-mini")

    assert answer.json()["model"] == "GPT-4o-mini"
    assert chats(host)[-1]["model"] == "demo:latest"
    assert chats(host)[-1]["options"] == {"num_ctx": 2048}
    assert chats(host)[-1]["keep_alive"] == "1h"


async def test_only_what_was_said_is_sent(host):
    async with running(host) as gateway:
        await gateway.chat()

    assert chats(host)[-1] == {
        "model": "demo:latest",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": False,
        "truncate": False,
    }


async def test_nothing_of_the_caller_but_its_request_reaches_a_host(host):
    headers = {
        "authorization": "Bearer secret-of-the-caller",
        "x-api-key": "secret-of-the-caller",
        "origin": "http://localhost:3000",
        "cookie": "a=b",
        "user-agent": "caller",
        "x-stainless-lang": "python",
    }
    async with running(host) as gateway:
        body = {"model": "demo", "messages": [{"role": "user", "content": "hi"}]}
        await gateway.client.post("/v1/chat/completions", json=body, headers=headers)

    (chat,) = [request for request in host.requests if request.path == "/api/chat"]
    sent = {name.lower(): value for name, value in chat.headers}
    assert set(sent) == {"host", "content-type", "content-length"}
    assert sent["host"] == host.url.removeprefix("http://")


async def test_the_debug_rendering_of_a_prompt(host):
    async with running(host) as gateway:
        answer = await gateway.chat(_debug_render_only=True)

    assert "hi" in answer.json()["ollama"]["_debug_info"]["rendered_template"]
    assert answer.json()["choices"][0]["finish_reason"] == "stop"


async def test_metadata_comes_back(host):
    async with running(host) as gateway:
        answer = await gateway.chat(metadata={"run": "7"})

    assert answer.json()["metadata"] == {"run": "7"}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("fault", ["unknown model", "a host that fails", "a field"])
async def test_what_was_refused_is_not_kept(fault, stream):
    """An error's frames hold the request; without a look at cycles, which comes seldom, it must be gone all the same."""
    async with Simulator() as host, running(host) as gateway:
        await gateway.chat()
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                if fault == "a host that fails":
                    host.script(replace(out_of_memory(), path="/api/chat"))
                fields = {"temperature": 9} if fault == "a field" else {}
                model = "nobody" if fault == "unknown model" else "demo"
                answer = await gateway.chat("x" * 1000, model=model, stream=stream, **fields)
                assert answer.status_code >= 400
            await eventually(lambda: gateway.in_flight() == 0)
            await asyncio.sleep(0.05)
            assert [one for one in gc.get_objects() if isinstance(one, ChatRequest)] == []
        finally:
            gc.enable()

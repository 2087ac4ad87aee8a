"""A model that cannot do what is asked of it is not sent the request; one that can is named."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gateway.simulator import Simulator, demo
from gateway.simulator.faults import Fail, out_of_memory
from tests.running import chats, running

PLAIN = replace(demo, name="plain", capabilities=("completion",), blob="plain")
ABLE = replace(demo, name="able", capabilities=("completion", "tools"), blob="able")
VECTORS = replace(demo, name="vectors", capabilities=("embedding",), blob="vectors")
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
PICTURE = "data:image/png;base64,iVBORw0KGgo="
SEEING = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": PICTURE}}]}]


@pytest.mark.parametrize(
    ("model", "fields", "param", "message"),
    [
        (
            "plain",
            {"tools": TOOLS},
            "tools",
            "The model 'plain' cannot call tools (it lacks the capability 'tools'). Models here that can: able.",
        ),
        (
            "able",
            {"messages": SEEING},
            "messages[0].content",
            "The model 'able' cannot see images (it lacks the capability 'vision'). No model here can.",
        ),
        (
            "vectors",
            {},
            "model",
            "The model 'vectors' does not write text (it lacks the capability 'completion'). "
            "Models here that can: able, plain.",
        ),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_the_answer_names_who_can(model, fields, param, message, stream):
    async with Simulator(models=[PLAIN, ABLE, VECTORS]) as host, running(host) as gateway:
        answer = await gateway.chat(model=model, stream=stream, **fields)

    assert answer.status_code == 400
    assert (answer.json()["error"]["param"], answer.json()["error"]["message"]) == (param, message)
    assert chats(host) == []


async def test_an_embedding_of_a_model_that_makes_none():
    async with Simulator(models=[PLAIN, VECTORS]) as host, running(host) as gateway:
        answer = await gateway.client.post("/v1/embeddings", json={"model": "plain", "input": "hi"})

    assert answer.status_code == 400
    assert answer.json()["error"]["message"].endswith("Models here that can: vectors.")


async def test_another_host_may_have_weights_that_can():
    """One name, two digests: what one host's model cannot do the other's can."""
    poor, rich = replace(PLAIN, name="m"), replace(ABLE, name="m")
    async with Simulator(models=[poor]) as one, Simulator(models=[rich]) as other, running(one, other) as gateway:
        for _ in range(3):
            answer = await gateway.chat(model="m", tools=TOOLS)
            assert (answer.status_code, answer.headers["x-gateway-host"]) == (200, "host-1")
        assert chats(one) == []

        other.script(replace(out_of_memory(), path="/api/chat"))
        failed = await gateway.chat(model="m", tools=TOOLS)
        assert (failed.status_code, failed.json()["error"]["code"]) == (503, "out_of_memory")


async def test_thinking_that_a_model_cannot_do_is_left_out_and_named():
    async with Simulator(models=[PLAIN]) as host, running(host) as gateway:
        answer = await gateway.chat(model="plain", reasoning_effort="high")

    assert (answer.status_code, answer.headers["x-gateway-ignored"]) == (200, "reasoning_effort")
    assert "think" not in chats(host)[0]


async def test_a_wish_to_think_goes_where_the_model_can():
    """One name, one digest of which two versions tell different things: four equal requests get equal answers."""
    cannot, can = replace(PLAIN, name="m"), replace(PLAIN, name="m", capabilities=("completion", "thinking"))
    async with (
        Simulator(models=[cannot], version="0.24.0") as old,
        Simulator(models=[can], version="0.33.0") as new,
        running(old, new) as gateway,
    ):
        for _ in range(4):
            answer = await gateway.chat(model="m", reasoning_effort="high")
            assert (answer.headers["x-gateway-host"], "x-gateway-ignored" in answer.headers) == ("host-1", False)

        new.script(replace(out_of_memory(), path="/api/chat"))
        without = await gateway.chat(model="m", reasoning_effort="high")
        assert (without.headers["x-gateway-host"], without.headers["x-gateway-ignored"]) == (
            "host-0",
            "reasoning_effort",
        )


async def test_stop_texts_are_worth_a_question_but_not_a_refusal():
    async with Simulator(models=[replace(PLAIN, name="m")]) as host:
        host.script(*(Fail(0, path="/api/show") for _ in range(40)))
        async with running(host) as gateway:
            answer = await gateway.chat(model="m", stop=["x"])

    assert answer.status_code == 200

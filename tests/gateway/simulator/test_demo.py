"""The demo model: it says what it is, and everything a gateway can show works with it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.simulator import Simulator, demo, demo_thinking, named
from tests.gateway.simulator.client import ask, chat

GREETING = "This is the demo model of ollama-gateway: a simulation, not a language model."


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(models=[demo, demo_thinking]) as host:
        yield host


def tool(name: str, description: str = "", parameters: Any = None) -> dict[str, Any]:
    function: dict[str, Any] = {"name": name, "description": description}
    if parameters is not None:
        function["parameters"] = parameters
    return {"type": "function", "function": function}


CITY = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "days": {"type": "integer"},
        "units": {"type": "string", "enum": ["C", "F"]},
    },
    "required": ["city"],
}
TOOLS = [tool("get_weather", "Tell the forecast for a city.", CITY), tool("send_mail", "Send an email to somebody.")]


async def test_it_is_what_a_simulator_has() -> None:
    async with Simulator() as simulator:
        models = (await ask(simulator.url, "GET", "/api/tags")).json["models"]
    assert [model["name"] for model in models] == ["demo:latest"]


async def test_it_says_that_it_is_a_simulation_and_repeats_what_it_was_told(simulator: Simulator) -> None:
    received = await chat(simulator.url, "Hello, café!")
    assert "".join(frame["message"]["content"] for frame in received.frames) == f"{GREETING} You said: Hello, café!"
    assert len(received.frames) > 10


async def test_it_says_the_same_to_a_bare_prompt(simulator: Simulator) -> None:
    received = await ask(simulator.url, "POST", "/api/generate", {"model": "demo", "prompt": "hi", "stream": False})
    assert received.json["response"] == f"{GREETING} You said: hi"


async def test_it_has_nothing_to_repeat_when_nothing_was_said(simulator: Simulator) -> None:
    received = await ask(simulator.url, "POST", "/api/chat", {"model": "demo", "messages": [{}], "stream": False})
    assert received.json["message"]["content"] == GREETING


@pytest.mark.parametrize(
    ("question", "called"),
    [
        ("What is the weather in Paris?", "get_weather"),
        ("Please call get_weather", "get_weather"),
        ("And the forecast?", "get_weather"),
        ("Mail this to Ann", "send_mail"),
        ("an EMAIL to Ann", "send_mail"),
        ("use a tool", "get_weather"),
        ("How are you?", None),
        ("What can you do for me?", None),
    ],
)
async def test_it_calls_a_tool_that_it_is_asked_for(simulator: Simulator, question: str, called: str | None) -> None:
    message = (await chat(simulator.url, question, tools=TOOLS, stream=False)).json["message"]
    calls = [call["function"]["name"] for call in message.get("tool_calls", ())]
    assert calls == ([called] if called else [])
    assert bool(message["content"]) is (called is None)


async def test_its_arguments_fit_the_schema(simulator: Simulator) -> None:
    message = (await chat(simulator.url, "The weather in Paris, please", tools=TOOLS, stream=False)).json["message"]
    assert message["tool_calls"][0]["function"]["arguments"] == {"city": "Paris", "days": 1, "units": "C"}


@pytest.mark.parametrize(
    ("parameters", "arguments"),
    [(None, {}), ({"type": "object", "properties": {"x": {"type": "strange"}}}, {}), ({"type": "object"}, {})],
)
async def test_its_arguments_are_empty_where_no_schema_says_more(
    simulator: Simulator, parameters: Any, arguments: Any
) -> None:
    message = (await chat(simulator.url, "tool", tools=[tool("f", "", parameters)], stream=False)).json["message"]
    assert message["tool_calls"][0]["function"]["arguments"] == arguments


async def test_it_says_what_a_tool_said(simulator: Simulator) -> None:
    messages = [
        {"role": "user", "content": "weather?"},
        {"role": "tool", "content": "21 degrees", "tool_name": "get_weather"},
    ]
    body = {"model": "demo", "messages": messages, "tools": TOOLS, "stream": False}
    received = await ask(simulator.url, "POST", "/api/chat", body)
    assert received.json["message"]["content"] == f"{GREETING} The tool get_weather said: 21 degrees"
    del messages[1]["tool_name"]
    received = await ask(simulator.url, "POST", "/api/chat", body)
    assert received.json["message"]["content"] == f"{GREETING} The tool said: 21 degrees"


async def test_it_answers_in_json(simulator: Simulator) -> None:
    message = (await chat(simulator.url, 'say "hi"', format="json", stream=False)).json["message"]
    assert json.loads(message["content"]) == {"model": "demo", "simulated": True, "you_said": 'say "hi"'}


async def test_it_answers_as_a_schema_wants(simulator: Simulator) -> None:
    message = (await chat(simulator.url, format=CITY, stream=False)).json["message"]
    assert json.loads(message["content"]) == {"city": "simulated", "days": 1, "units": "C"}


async def test_it_does_not_look_at_images_and_says_so(simulator: Simulator) -> None:
    messages = [{"role": "user", "content": "what is this?", "images": ["AAAA"]}]
    received = await ask(simulator.url, "POST", "/api/chat", {"model": "demo", "messages": messages, "stream": False})
    content = received.json["message"]["content"]
    assert content == f"{GREETING} You sent 1 image, which I do not look at. You said: what is this?"


async def test_it_embeds(simulator: Simulator) -> None:
    received = await ask(simulator.url, "POST", "/api/embed", {"model": "demo", "input": ["a cat", "a cat sat"]})
    assert [len(vector) for vector in received.json["embeddings"]] == [64, 64]


@pytest.mark.parametrize("stream", [True, False])
async def test_one_of_it_thinks_for_show(simulator: Simulator, stream: bool) -> None:
    frames = (await chat(simulator.url, model="demo-thinking", stream=stream)).frames
    thoughts = "".join(frame["message"].get("thinking", "") for frame in frames)
    assert thoughts.startswith("I am a simulation")
    assert "".join(frame["message"]["content"] for frame in frames) == f"{GREETING} You said: hi"


async def test_the_thinking_one_answers_as_a_schema_wants_too(simulator: Simulator) -> None:
    message = (await chat(simulator.url, model="demo-thinking", format=CITY, stream=False)).json["message"]
    assert message["thinking"].startswith("I am a simulation")
    assert json.loads(message["content"])["city"] == "simulated"


async def test_it_can_have_other_names() -> None:
    async with Simulator(models=named("llama3.2", "qwen3:8b")) as simulator:
        models = (await ask(simulator.url, "GET", "/api/tags")).json["models"]
        assert [model["name"] for model in models] == ["llama3.2:latest", "qwen3:8b"]
        await chat(simulator.url, model="llama3.2")
        await chat(simulator.url, model="qwen3:8b")
        assert sorted(simulator.resident) == ["llama3.2:latest", "qwen3:8b"]


def test_a_malformed_name_is_told() -> None:
    with pytest.raises(ValueError, match="'a b' is not the name of a model"):
        named("a b")


async def test_it_fills_no_gaps(simulator: Simulator) -> None:
    received = await ask(simulator.url, "POST", "/api/generate", {"model": "demo", "prompt": "a", "suffix": "b"})
    assert received.status == 400

"""`chat`, `generate`, `embed` and `embeddings`: through the gateway a host is sent what it would be sent without, and so it answers."""

from __future__ import annotations

from typing import Any

import pytest
from ollama import Image, Message, Options, Tool
from pydantic import BaseModel

from tests.conformance.clients.members import WHOLE
from tests.conformance.clients.uses import PYTHON, Way, uses
from tests.e2e.cast import SAID
from tests.native.calling import outcome, pieces, text
from tests.native.conftest import Fleet

pytestmark = pytest.mark.asyncio(loop_scope="package")

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(250, 256)) * 5


class Weather(BaseModel):
    city: str
    temp: int
    ok: bool


def get_weather(city: str) -> str:
    """Tell the weather.

    Args:
        city: Where.
    """
    return f"21 degrees in {city}"


TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tells the weather.",
        "parameters": {
            "type": "object",
            "required": ["city"],
            "$defs": {"Place": {"type": "string"}},
            "properties": {"city": {"type": "string", "description": "Where.", "enum": ["Austin", "Paris"]}},
        },
    },
}
CALL = {"function": {"name": "get_weather", "arguments": {"city": "Zürich"}}}
OPTIONS: dict[str, Any] = {
    "numa": False,
    "num_ctx": 4096,
    "num_batch": 512,
    "num_gpu": 1,
    "main_gpu": 0,
    "low_vram": False,
    "f16_kv": True,
    "logits_all": False,
    "vocab_only": False,
    "use_mmap": True,
    "use_mlock": False,
    "embedding_only": False,
    "num_thread": 1,
    "num_keep": 5,
    "seed": 42,
    "num_predict": 3,
    "top_k": 1,
    "top_p": 0.5,
    "tfs_z": 1.0,
    "typical_p": 1.0,
    "repeat_last_n": 33,
    "temperature": 0.0,
    "repeat_penalty": 1.2,
    "presence_penalty": 1.5,
    "frequency_penalty": 1.0,
    "mirostat": 0,
    "mirostat_tau": 0.8,
    "mirostat_eta": 0.6,
    "penalize_newline": True,
    "stop": ["\n\n", "user:"],
}


def said(content: str = "hi", **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **more}


def case(name: str, method: str, model: str, /, *messages: Any, **given: Any) -> Any:
    """Return a case: a name, and what a model is asked."""
    asked = {"messages": list(messages), **given} if messages else given
    return pytest.param(method, model, asked, id=f"{method}: {name}", marks=uses(PYTHON, method, "model", *asked))


CASES = [
    case("a word", "chat", "chat", said()),
    case("a conversation", "chat", "chat", Message(role="system", content="Be brief."), said("Who?"), Message(role="assistant", content="I."), said()),
    case("a model with a system text", "chat", "plain", said()),
    case("a long answer", "chat", "chat", said("long")),
    case("nothing to say", "chat", "chat", said("silent")),
    case("nothing said, to load it", "chat", "chat"),
    case("nothing said, to load it for long", "chat", "chat", keep_alive="30m"),
    case("kept", "chat", "chat", said(), keep_alive="5m"),
    case("kept for ever", "chat", "chat", said(), keep_alive=-1),
    case("kept for a wrong time", "chat", "chat", said(), keep_alive="soon"),
    case("a tool", "chat", "chat", said(), tools=[TOOL]),
    case("a tool that is an object", "chat", "chat", said("rich"), tools=[Tool(**TOOL)]),
    case("a function", "chat", "chat", said("two"), tools=[get_weather]),
    case("a tool of a model that has none", "chat", "plain", said(), tools=[TOOL]),
    case("the result of a tool", "chat", "chat", said(), {"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "tool_name": "get_weather", "content": "21 degrees"}, tools=[TOOL]),
    case("thoughts", "chat", "think", said(), think=True),
    case("few thoughts", "chat", "think", said(), think="low"),
    case("no thoughts", "chat", "think", said(), think=False),
    case("thoughts that were thought", "chat", "think", said(), {"role": "assistant", "thinking": "Hm.", "content": "I."}, said(), think=True),
    case("thoughts of a model that has none", "chat", "chat", said(), think=True),
    case("JSON", "chat", "chat", said("json"), format="json"),
    case("a form", "chat", "chat", said("json"), format=Weather.model_json_schema()),
    case("an image", "chat", "see", said(images=[PNG])),
    case("probabilities", "chat", "chat", said("dice"), logprobs=True, top_logprobs=2, options={"temperature": 0}),
    case("too many probabilities", "chat", "chat", said(), logprobs=True, top_logprobs=21),
    case("options", "chat", "chat", said("long"), options={"num_predict": 5, "temperature": 0.1}),
    case("options that are an object", "chat", "chat", said("long"), options=Options(num_ctx=2048, stop=["7"])),
    case("a wrong option", "chat", "chat", said(), options={"num_ctx": "many"}),
    case("an option that nobody knows", "chat", "chat", said(), options={"warmth": 3}),
    case("a prompt", "generate", "chat", prompt="hi"),
    case("nothing, to load it", "generate", "chat"),
    case("nothing, to load it for long", "generate", "chat", keep_alive="30m"),
    case("a gap", "generate", "chat", prompt="def add(a, b):", suffix="    return c"),
    case("a gap for a model that fills none", "generate", "plain", prompt="a", suffix="b"),
    case("a system text", "generate", "plain", prompt="hi", system="Be brief."),
    case("a template", "generate", "chat", prompt="hi", template="{{ .System }} says {{ .Prompt }}", system="He"),
    case("a template with a mistake", "generate", "chat", prompt="hi", template="{{ .Prompt"),
    case("a context", "generate", "chat", prompt="hi", context=[1, 2, 3]),
    case("a raw prompt", "generate", "chat", prompt="<|s:json|>", raw=True),
    case("a raw prompt with a system text", "generate", "chat", prompt="hi", raw=True, system="Be brief."),
    case("thoughts", "generate", "think", prompt="hi", think=True),
    case("probabilities", "generate", "chat", prompt="dice", logprobs=True, top_logprobs=1, options={"temperature": 0}),
    case("JSON", "generate", "chat", prompt="json", format="json"),
    case("a form", "generate", "chat", prompt="json", format=Weather.model_json_schema()),
    case("images", "generate", "see", prompt="hi", images=[PNG, Image(value=PNG)]),
    case("options", "generate", "chat", prompt="long", options={"num_predict": 5}),
    case("the size of an image to make", "generate", "chat", prompt="a cat", width=64, height=64, steps=2),
]  # fmt: skip


@pytest.mark.parametrize(("method", "model", "asked"), CASES)
async def test_an_answer_is_that_of_the_host_itself(
    fleet: Fleet, way: Way, kind: str, method: str, model: str, asked: dict[str, Any]
) -> None:
    host, given = fleet.of_kind(kind), {"model": f"{model}:{kind}", **asked}

    through = await outcome(fleet.bob, way, method, **given)
    [sent] = host.bodies(f"/api/{method}")
    itself = await outcome(host.caller, way, method, **given)

    assert through == itself
    assert host.bodies(f"/api/{method}") == [sent, sent]


@uses(PYTHON, "Message", "role", "content", "thinking", "images", "tool_name", "tool_calls")
async def test_a_message_reaches_the_host_with_all_that_it_has(fleet: Fleet, way: Way, kind: str) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Look!", "images": [PNG]},
        {"role": "assistant", "content": "I see.", "thinking": "What?", "tool_calls": [CALL]},
        {"role": "tool", "content": "21 degrees", "tool_name": "get_weather"},
    ]
    answer = await fleet.bob.call(way, "chat", model=f"see:{kind}", messages=messages)

    [chat] = fleet.of_kind(kind).simulator.requests[-1:]
    [system, user, assistant, tool] = chat.json["messages"]
    assert text(answer) == "The tool says it is 21 degrees there."
    assert [system, tool] == [messages[0], messages[3]]
    assert user["images"] == ["iVBORw0KGgr6+/z9/v/6+/z9/v/6+/z9/v/6+/z9/v/6+/z9/v8="]
    assert assistant == messages[2]


@uses(PYTHON, "Options", *OPTIONS)
@pytest.mark.parametrize("options", [OPTIONS, Options(**OPTIONS)], ids=["a mapping", "an object"])
async def test_options_reach_the_host_as_they_are(fleet: Fleet, way: Way, kind: str, options: Any) -> None:
    await fleet.bob.call(way, "chat", model=f"chat:{kind}", messages=[said()], options=options)
    await fleet.bob.call(way, "generate", model=f"chat:{kind}", prompt="hi", options=options)

    asked = [request.json for request in fleet.of_kind(kind).simulator.requests if request.inference]
    assert [body["options"] for body in asked] == [OPTIONS, OPTIONS]


async def test_an_answer_comes_as_the_host_makes_it(fleet: Fleet, kind: str) -> None:
    """A piece is there before the next one is made."""
    host = fleet.of_kind(kind).simulator
    host.token_seconds = 0.01
    came = []
    async for piece in await fleet.bob.client.chat(f"chat:{kind}", [said("endless")], stream=True):
        came.append(piece.message.content)
        if len(came) == 3:
            break
    await host.wait_idle()

    assert came == [" tick", " tock", " ding"]
    assert host.requests[-1].ended == "cancelled"


async def test_an_answer_repeats_the_name_that_was_asked_for(fleet: Fleet, way: Way) -> None:
    """A host answers in the name that it is asked by, so behind an alias it is the model's own."""
    given = {"messages": [said()]}
    names = [
        {piece.model for piece in pieces(await fleet.bob.call(way, "chat", model=name, **given))}
        for name in ("demo", "DEMO", "demo:latest", "gpt-4o-mini")
    ]

    assert names == [{"demo"}, {"DEMO"}, {"demo:latest"}, {"demo:latest"}]


@pytest.mark.parametrize("way", WHOLE)
@pytest.mark.parametrize(
    ("method", "asked"),
    [
        pytest.param(method, asked, id=f"{method}: {name}", marks=uses(PYTHON, method, "model", *asked))
        for method, name, asked in (
            ("embed", "a text", {"input": "hello world"}),
            ("embed", "texts", {"input": ["good bye", "hello world", "naïve café, 日本語 🙂", ""]}),
            ("embed", "nothing", {"input": []}),
            ("embed", "a short vector", {"input": "hello world", "dimensions": 8}),
            ("embed", "a long text", {"input": "hello " * 100}),
            ("embed", "a text that is too long", {"input": "hello " * 100, "truncate": False}),
            ("embed", "settings", {"input": "hi", "keep_alive": "5m", "options": {"num_ctx": 32}}),
            ("embeddings", "a text", {"prompt": "hello world"}),
            ("embeddings", "nothing", {"prompt": ""}),
            ("embeddings", "a text that is too long", {"prompt": "hello " * 100}),
            ("embeddings", "settings", {"prompt": "hi", "keep_alive": 60, "options": {"num_ctx": 32}}),
        )
    ],
)
@pytest.mark.parametrize("model", ["tiny-embed", "demo"])
async def test_vectors_are_those_of_the_host_itself(
    fleet: Fleet, way: Way, method: str, model: str, asked: dict[str, Any]
) -> None:
    through = await outcome(fleet.bob, way, method, model=model, **asked)
    itself = [await outcome(host.caller, way, method, model=model, **asked) for host in fleet.hosts.values()]

    assert through in itself


async def test_a_model_is_asked_where_it_is(fleet: Fleet, way: Way, kind: str) -> None:
    answer = await fleet.bob.call(way, "chat", model=f"chat:{kind}", messages=[said()])

    assert text(answer) == SAID
    assert [name for name, host in fleet.hosts.items() if host.bodies("/api/chat")] == [fleet.of_kind(kind).name]

"""LangChain against Ollama's own API: `ChatOllama`, `OllamaLLM` and `OllamaEmbeddings`, told an address and a key."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import reduce
from operator import add
from typing import Any

import httpx
import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_ollama import ChatOllama, OllamaEmbeddings, OllamaLLM
from ollama import ResponseError
from pydantic import BaseModel, Field

from tests.conformance.clients.members import WHOLE
from tests.conformance.clients.proof import SEEN, Called
from tests.conformance.clients.uses import LANGCHAIN, Way, uses
from tests.e2e.cast import SAID
from tests.native.calling import outcome
from tests.native.conftest import BOB, Fleet

pytestmark = pytest.mark.asyncio(loop_scope="package")

GREETING = "This is the demo model of ollama-gateway: a simulation, not a language model."
WEATHER = "How is the weather in Paris?"
KEY = {"headers": {"Authorization": f"Bearer {BOB}"}}
LEAVES_NOTHING_OPEN = {**KEY, "limits": httpx.Limits(max_keepalive_connections=0)}
"""For what will not be made, and so cannot be closed."""
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()


class Weather(BaseModel):
    """The weather of a place."""

    city: str = Field(description="Where.")
    degrees: int


@tool
def get_weather(city: str) -> str:
    """Tells the weather."""
    return f"21 degrees in {city}"


def note(method: str, way: Way, given: Any) -> None:
    SEEN.append(Called(LANGCHAIN, method, frozenset(given), way))


@asynccontextmanager
async def made(kind: Any, fleet: Fleet, way: Way, **settings: Any) -> AsyncIterator[Any]:
    """Make a model, and close its connections in the end, which LangChain leaves to the garbage collector.

    It may ask the gateway while it is made, so that must not be in the event loop's thread.
    """
    settings = {"base_url": fleet.gateway.url, **settings}
    if not {"client_kwargs", "sync_client_kwargs"} & settings.keys():
        settings["client_kwargs"] = KEY
    note(kind.__name__, way, settings)
    model = await asyncio.to_thread(kind, **settings)
    try:
        yield model
    finally:
        model._client.close()
        await model._async_client.close()


async def refused(kind: Any, fleet: Fleet, way: Way) -> None:
    """Try to make a model that there is not."""
    settings = {"validate_model_on_init": True, "client_kwargs": LEAVES_NOTHING_OPEN}
    async with made(kind, fleet, way, model="nobody", **settings):
        pass


async def ask(way: Way, runnable: Any, given: Any) -> Any:
    """Return an answer, by one of LangChain's four methods; one that comes in pieces is put together."""
    match way:
        case "sync":
            return await asyncio.to_thread(runnable.invoke, given)
        case "async":
            return await runnable.ainvoke(given)
        case "sync, streamed":
            return reduce(add, await asyncio.to_thread(lambda: list(runnable.stream(given))))
        case "async, streamed":
            return reduce(add, [piece async for piece in runnable.astream(given)])


def asked(fleet: Fleet, path: str) -> list[Any]:
    """Return what the hosts were asked at a path."""
    requests = [request for host in fleet.hosts.values() for request in host.simulator.requests]
    return [request.json for request in requests if request.path == path]


@uses(LANGCHAIN, "ChatOllama", "model", "base_url", "client_kwargs")
@pytest.mark.parametrize("kind", ["0.24", "0.33", "0.33-jinja"])
async def test_a_chat(fleet: Fleet, way: Way, kind: str) -> None:
    turns = [SystemMessage("Be brief."), HumanMessage("Who?"), AIMessage("I."), HumanMessage("hi")]
    async with made(ChatOllama, fleet, way, model=f"chat:{kind}") as model:
        message = await ask(way, model, turns)

    [chat] = asked(fleet, "/api/chat")
    assert [turn["role"] for turn in chat["messages"]] == ["system", "user", "assistant", "user"]
    assert message.content == SAID
    assert message.usage_metadata["output_tokens"] > 0
    assert message.response_metadata["done_reason"] == "stop"
    assert message.response_metadata["model_name"] == f"chat:{kind}"


async def test_an_image(fleet: Fleet, way: Way) -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    async with made(ChatOllama, fleet, way, model="see:0.33") as model:
        await ask(way, model, [HumanMessage([{"type": "text", "text": "What is this?"}, image])])

    [chat] = asked(fleet, "/api/chat")
    assert chat["messages"][0]["images"] == [PNG]


OPTIONS: dict[str, Any] = {
    "mirostat": 0,
    "mirostat_eta": 0.1,
    "mirostat_tau": 5.0,
    "num_ctx": 4096,
    "num_gpu": 1,
    "num_thread": 1,
    "num_predict": 5,
    "repeat_last_n": 64,
    "repeat_penalty": 1.1,
    "temperature": 0.2,
    "seed": 7,
    "stop": ["user:"],
    "tfs_z": 1.0,
    "top_k": 40,
    "top_p": 0.9,
}


@uses(LANGCHAIN, "ChatOllama", *OPTIONS, "keep_alive", "logprobs", "top_logprobs")
async def test_settings_of_a_chat_reach_the_host(fleet: Fleet, way: Way) -> None:
    settings = {**OPTIONS, "keep_alive": "10m", "logprobs": True, "top_logprobs": 2}
    async with made(ChatOllama, fleet, way, model="chat:0.33", **settings) as model:
        message = await ask(way, model, "long")

    [chat] = asked(fleet, "/api/chat")
    assert chat["options"] == OPTIONS
    assert (chat["keep_alive"], chat["logprobs"], chat["top_logprobs"]) == ("10m", True, 2)
    assert message.response_metadata["done_reason"] == "length"
    assert message.response_metadata["logprobs"]


@uses(LANGCHAIN, "ChatOllama", "format")
async def test_a_form(fleet: Fleet, way: Way) -> None:
    async with made(ChatOllama, fleet, way, model="chat:0.33", format="json") as model:
        message = await ask(way, model, "json")

    assert message.content == '{"city": "Paris", "temp": 21, "ok": true}'


@uses(LANGCHAIN, "ChatOllama", "reasoning")
@pytest.mark.parametrize("kind", ["0.24", "0.33", "0.33-jinja"])
async def test_thoughts_stand_apart(fleet: Fleet, way: Way, kind: str) -> None:
    async with made(ChatOllama, fleet, way, model=f"think:{kind}", reasoning=True) as model:
        message = await ask(way, model, "hi")

    assert message.content == "Hi! I thought about it."
    assert message.additional_kwargs["reasoning_content"].strip() == "The user greets me, so I greet back."


@uses(LANGCHAIN, "ChatOllama", "validate_model_on_init", remark="looks for it in the list of all hosts")
@uses(LANGCHAIN, "OllamaLLM", "validate_model_on_init", remark="looks for it in the list of all hosts")
@pytest.mark.parametrize("kind", ["0.24", "0.33", "0.33-jinja"])
async def test_a_model_is_looked_for_on_all_hosts(fleet: Fleet, way: Way, kind: str) -> None:
    for each in (ChatOllama, OllamaLLM):
        async with made(each, fleet, way, model=f"chat:{kind}", validate_model_on_init=True) as model:
            answer = await ask(way, model, "hi")
        assert getattr(answer, "content", answer) == SAID
        with pytest.raises(ValueError, match=r"Model `nobody` not found in Ollama\."):
            await refused(each, fleet, way)


@uses(LANGCHAIN, "ChatOllama", "sync_client_kwargs", "async_client_kwargs")
@uses(LANGCHAIN, "OllamaLLM", "sync_client_kwargs", "async_client_kwargs")
async def test_each_client_may_have_a_key_of_its_own(fleet: Fleet, way: Way) -> None:
    wrong = {"headers": {"Authorization": "Bearer sk-wrong"}}
    for each in (ChatOllama, OllamaLLM):
        for right, other in (("sync", "async"), ("async", "sync")):
            settings = {f"{right}_client_kwargs": KEY, f"{other}_client_kwargs": wrong}
            async with made(each, fleet, way, model="chat:0.33", **settings) as model:
                if way.startswith(right):
                    answer = await ask(way, model, "hi")
                    assert getattr(answer, "content", answer) == SAID
                else:
                    with pytest.raises(ResponseError, match="The API key is not known here"):
                        await ask(way, model, "hi")


@uses(LANGCHAIN, "ChatOllama.bind_tools", "tools")
@uses(LANGCHAIN, "ChatOllama.bind_tools", "tool_choice", remark="LangChain does not send it")
async def test_the_loop_of_a_tool(fleet: Fleet, way: Way) -> None:
    question = HumanMessage(WEATHER)
    async with made(ChatOllama, fleet, way, model="demo") as model:
        note("ChatOllama.bind_tools", way, ("tools", "tool_choice"))
        bound = model.bind_tools([get_weather], tool_choice="get_weather")
        called = await ask(way, bound, [question])
        [call] = called.tool_calls
        result = get_weather.invoke(call)
        answer = await ask(way, bound, [question, called, result])

    assert (call["name"], call["args"]) == ("get_weather", {"city": "Paris"})
    assert isinstance(result, ToolMessage)
    assert answer.content == f"{GREETING} The tool said: 21 degrees in Paris"


@pytest.mark.parametrize("kind", ["0.24", "0.33", "0.33-jinja"])
async def test_calls_of_tools_on_every_kind_of_host(fleet: Fleet, way: Way, kind: str) -> None:
    async with made(ChatOllama, fleet, way, model=f"chat:{kind}") as model:
        called = await ask(way, model.bind_tools([get_weather]), "two")

    assert [(call["name"], call["args"]) for call in called.tool_calls] == [
        ("get_weather", {"city": "Austin"}),
        ("get_weather", {"city": "Paris"}),
    ]


@uses(LANGCHAIN, "ChatOllama.with_structured_output", "schema", "method", "include_raw")
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
async def test_structured_output(fleet: Fleet, way: Way, method: Any) -> None:
    async with made(ChatOllama, fleet, way, model="demo") as model:
        note("ChatOllama.with_structured_output", way, ("schema", "method", "include_raw"))
        found = await ask(way, model.with_structured_output(Weather, method=method, include_raw=True), WEATHER)

    assert found["parsing_error"] is None
    assert isinstance(found["parsed"], Weather)


async def test_structured_output_in_json_mode(fleet: Fleet, way: Way) -> None:
    async with made(ChatOllama, fleet, way, model="demo") as model:
        structured = model.with_structured_output(None, method="json_mode", include_raw=True)
        found = await ask(way, structured, "Answer in JSON.")

    assert found["parsed"] == {"model": "demo", "simulated": True, "you_said": "Answer in JSON."}


@uses(LANGCHAIN, "OllamaLLM", "model", "base_url", "client_kwargs", *OPTIONS, "keep_alive", "format", "reasoning")
@pytest.mark.parametrize("kind", ["0.24", "0.33", "0.33-jinja"])
async def test_a_completion(fleet: Fleet, way: Way, kind: str) -> None:
    settings = {**OPTIONS, "keep_alive": "10m", "format": "json", "reasoning": False}
    async with made(OllamaLLM, fleet, way, model=f"think:{kind}", **settings) as model:
        text = await ask(way, model, "json")

    [completion] = asked(fleet, "/api/generate")
    assert completion["options"] == OPTIONS
    assert (completion["keep_alive"], completion["format"], completion["think"]) == ("10m", "json", False)
    assert text.startswith("{")


VECTOR_OPTIONS = {name: value for name, value in OPTIONS.items() if name not in ("num_predict", "seed")}


@pytest.mark.parametrize("way", WHOLE)
@uses(LANGCHAIN, "OllamaEmbeddings", "model", "base_url", "client_kwargs", "dimensions", "keep_alive", *VECTOR_OPTIONS)
@uses(LANGCHAIN, "OllamaEmbeddings.embed_documents", "texts")
@uses(LANGCHAIN, "OllamaEmbeddings.embed_query", "text")
async def test_vectors_are_those_of_the_host(fleet: Fleet, way: Way) -> None:
    settings = {**VECTOR_OPTIONS, "dimensions": 8, "keep_alive": 600}
    texts = ["good bye", "hello world", "naïve café, 日本語 🙂", ""]
    async with made(OllamaEmbeddings, fleet, way, model="tiny-embed", **settings) as embeddings:
        documents, query = await vectors(way, embeddings, texts)
    [itself] = await outcome(fleet.hosts["new"].caller, way, "embed", model="tiny-embed", input=texts, dimensions=8)

    sent = asked(fleet, "/api/embed")[0]
    assert {name: value for name, value in sent["options"].items() if value is not None} == VECTOR_OPTIONS
    assert sent["keep_alive"] == 600
    assert documents == itself["embeddings"]
    assert query == documents[0]


@pytest.mark.parametrize("way", WHOLE)
@uses(LANGCHAIN, "OllamaEmbeddings", "validate_model_on_init", "sync_client_kwargs", "async_client_kwargs")
async def test_what_makes_vectors_is_made_as_a_chat_is(fleet: Fleet, way: Way) -> None:
    keys = {"sync_client_kwargs": KEY, "async_client_kwargs": KEY}
    async with made(
        OllamaEmbeddings, fleet, way, model="tiny-embed", validate_model_on_init=True, **keys
    ) as embeddings:
        documents, query = await vectors(way, embeddings, ["hello world"])

    assert documents == [query]
    with pytest.raises(ValueError, match=r"Model `nobody` not found in Ollama\."):
        await refused(OllamaEmbeddings, fleet, way)


async def vectors(way: Way, embeddings: OllamaEmbeddings, texts: list[str]) -> tuple[list[list[float]], list[float]]:
    """Return the vectors of some texts, and that of the first one alone."""
    note("OllamaEmbeddings.embed_documents", way, ("texts",))
    note("OllamaEmbeddings.embed_query", way, ("text",))
    if way == "sync":
        return (
            await asyncio.to_thread(embeddings.embed_documents, texts),
            await asyncio.to_thread(embeddings.embed_query, texts[0]),
        )
    return await embeddings.aembed_documents(texts), await embeddings.aembed_query(texts[0])


async def test_errors_are_those_of_the_client(fleet: Fleet, way: Way) -> None:
    async with made(ChatOllama, fleet, way, model="nobody") as model:
        with pytest.raises(ResponseError) as caught:
            await ask(way, model, "hi")

    assert (caught.value.status_code, caught.value.error) == (404, "model 'nobody' not found")

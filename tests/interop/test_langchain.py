"""LangChain against a gateway: `ChatOpenAI` and `OpenAIEmbeddings` with their defaults, told a base URL and a key."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial, reduce
from operator import add
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
import pytest_asyncio
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, Field, SecretStr

from gateway.simulator import Simulator, demo
from tests.e2e.cast import SAID, models
from tests.running import Running, chats, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

Chat = Callable[..., ChatOpenAI]

GREETING = "This is the demo model of ollama-gateway: a simulation, not a language model."
WEATHER = "How is the weather in Paris?"
TEXTS = ["good bye", "hello world", "naïve café, 日本語 🙂", "<|endoftext|>"]


class Weather(BaseModel):
    """The weather of a place."""

    city: str = Field(description="Where.")
    degrees: int


class Said(BaseModel):
    """What the demo model says in JSON mode."""

    model: str
    simulated: bool
    you_said: str


@tool
def get_weather(city: str) -> str:
    """Tells the weather."""
    return f"21 degrees in {city}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served() -> AsyncIterator[tuple[Simulator, Running]]:
    async with Simulator(version="0.33.0", models=(demo, *models("0.33"))) as host, running(host) as gateway:
        yield host, gateway


@pytest.fixture
def host(served: tuple[Simulator, Running]) -> Simulator:
    served[0].requests.clear()
    return served[0]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chat(served: tuple[Simulator, Running]) -> AsyncIterator[Chat]:
    """What makes a model. All models of an address share connections, which LangChain leaves to the garbage collector."""
    make = partial(ChatOpenAI, base_url=f"{served[1].url}/v1", api_key=SecretStr("none"))
    yield make
    last = make(model="demo")
    last.root_client.close()
    await last.root_async_client.close()


@pytest.fixture(params=["invoke", "ainvoke"])
def whole(request: pytest.FixtureRequest) -> Any:
    """The ways to ask for an answer in one piece."""
    return request.param


@pytest.fixture(params=["stream", "astream"])
def streamed(request: pytest.FixtureRequest) -> Any:
    """The ways to ask for one in pieces."""
    return request.param


async def invoke(way: str, runnable: Any, given: Any) -> Any:
    """Return an answer. The synchronous way must not be in the event loop's thread."""
    return await asyncio.to_thread(runnable.invoke, given) if way == "invoke" else await runnable.ainvoke(given)


async def pieces_of(way: str, runnable: Any, given: Any) -> list[Any]:
    """Return the pieces of an answer."""
    if way == "stream":
        return await asyncio.to_thread(lambda: list(runnable.stream(given)))
    return [piece async for piece in runnable.astream(given)]


async def test_a_chat(host: Simulator, chat: Chat, whole: str) -> None:
    turns = [SystemMessage("Be brief."), HumanMessage("Who?"), AIMessage("I."), HumanMessage("hi")]
    message = await invoke(whole, chat(model="chat:0.33"), turns)

    [asked] = chats(host)
    assert [(turn["role"], turn["content"]) for turn in asked["messages"]] == [
        ("system", "Be brief."),
        ("user", "Who?"),
        ("assistant", "I."),
        ("user", "hi"),
    ]
    assert not asked.get("options")
    assert message.content == SAID
    assert message.usage_metadata["input_tokens"] > 0
    assert message.usage_metadata["output_tokens"] > 0
    assert message.response_metadata["finish_reason"] == "stop"
    assert message.response_metadata["model_name"] == "chat:0.33"


@pytest.mark.parametrize("settings", [{}, {"stream_usage": True}], ids=["defaults", "stream_usage"])
async def test_a_streamed_chat(chat: Chat, streamed: str, settings: dict[str, Any]) -> None:
    """Usage does not come by default: LangChain asks for it only at OpenAI's own address."""
    pieces = await pieces_of(streamed, chat(model="chat:0.33", **settings), "hi")

    message = reduce(add, pieces)
    assert len(pieces) > 3
    assert message.content == SAID
    assert message.response_metadata["finish_reason"] == "stop"
    assert bool(message.usage_metadata) == bool(settings)


@pytest.mark.parametrize("choice", [None, "auto", "any", "get_weather"])
async def test_the_loop_of_a_tool(host: Simulator, chat: Chat, whole: str, choice: str | None) -> None:
    model, question = chat(model="demo"), HumanMessage(WEATHER)
    called = await invoke(whole, model.bind_tools([get_weather], tool_choice=choice), [question])
    [call] = called.tool_calls
    result = get_weather.invoke(call)
    answer = await invoke(whole, model.bind_tools([get_weather]), [question, called, result])

    assert (call["name"], call["args"]) == ("get_weather", {"city": "Paris"})
    assert isinstance(result, ToolMessage)
    assert chats(host)[-1]["messages"][-1]["content"] == "21 degrees in Paris"
    assert answer.content == f"{GREETING} The tool get_weather said: 21 degrees in Paris"


async def test_a_streamed_call_of_a_tool(chat: Chat, streamed: str) -> None:
    pieces = await pieces_of(streamed, chat(model="demo").bind_tools([get_weather]), WEATHER)

    message = reduce(add, pieces)
    [call] = message.tool_calls
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Paris"})
    assert call["id"]
    assert message.response_metadata["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("question", [WEATHER, "hi"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"method": "json_schema"},
        {"method": "json_schema", "strict": True},
        {"method": "function_calling"},
        {"method": "function_calling", "strict": True},
    ],
    ids=lambda settings: " ".join(map(str, settings.values())) or "defaults",
)
async def test_structured_output(chat: Chat, whole: str, settings: dict[str, Any], question: str) -> None:
    found = await invoke(whole, chat(model="demo").with_structured_output(Weather, **settings), question)

    assert isinstance(found, Weather)


async def test_structured_output_in_json_mode(chat: Chat, whole: str) -> None:
    structured = chat(model="demo").with_structured_output(Said, method="json_mode", include_raw=True)
    found = await invoke(whole, structured, "Answer in JSON.")

    assert found["parsing_error"] is None
    assert found["parsed"] == Said(model="demo", simulated=True, you_said="Answer in JSON.")
    assert json.loads(found["raw"].content) == found["parsed"].model_dump()


# The OpenAI SDK puts the parsed object in a field that its own types do not allow for; it does so with every server.
@pytest.mark.filterwarnings(r"ignore:Pydantic serializer warnings[\s\S]*field_name='parsed':UserWarning")
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
async def test_streamed_structured_output(chat: Chat, streamed: str, method: Any) -> None:
    pieces = await pieces_of(streamed, chat(model="demo").with_structured_output(Weather, method=method), WEATHER)

    assert isinstance(pieces[-1], Weather)


async def test_errors_are_those_of_the_sdk(chat: Chat, whole: str) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await invoke(whole, chat(model="gpt-5-nano"), "hi")

    assert caught.value.code == "model_not_found"


@asynccontextmanager
async def embedding(gateway: Running, **settings: Any) -> AsyncIterator[OpenAIEmbeddings]:
    """Yield what makes vectors, and close its connections, which LangChain leaves to the garbage collector."""
    embeddings = OpenAIEmbeddings(model="demo", base_url=f"{gateway.url}/v1", api_key=SecretStr("none"), **settings)
    try:
        yield embeddings
    finally:
        embeddings.client._client.close()
        await embeddings.async_client._client.close()


def embedded(host: Simulator) -> list[str]:
    """Return the texts that a host was asked to embed."""
    inputs = [request.json["input"] for request in host.requests if request.path == "/api/embed"]
    return [text for given in inputs for text in ([given] if isinstance(given, str) else given)]


async def vectors_of(host: Simulator, texts: list[str]) -> list[Any]:
    """Return what a host itself answers; a client gets it in single precision."""
    async with httpx2.AsyncClient(base_url=host.url, trust_env=False) as client:
        answer = await client.post("/api/embed", json={"model": "demo", "input": texts})
    return [pytest.approx(vector, rel=1e-6) for vector in answer.json()["embeddings"]]


@pytest.mark.parametrize("settings", [{}, {"check_embedding_ctx_length": False}], ids=["token ids", "texts"])
async def test_vectors_are_those_of_the_host(
    served: tuple[Simulator, Running], host: Simulator, settings: dict[str, Any]
) -> None:
    async with embedding(served[1], **settings) as embeddings:
        documents = await asyncio.to_thread(embeddings.embed_documents, TEXTS)
        again = await embeddings.aembed_documents(TEXTS)
        query = await asyncio.to_thread(embeddings.embed_query, TEXTS[2])

    assert embedded(host) == [*TEXTS, *TEXTS, TEXTS[2]]
    assert documents == again == await vectors_of(host, TEXTS)
    assert query == documents[2]


async def test_an_empty_text_has_a_vector(served: tuple[Simulator, Running], host: Simulator) -> None:
    """It has no tokens, so LangChain asks for it apart, as `input: ""`."""
    async with embedding(served[1]) as embeddings:
        documents = await embeddings.aembed_documents(["", "hello world"])

    assert embedded(host) == ["hello world", ""]
    assert documents == await vectors_of(host, ["", "hello world"])


async def test_without_the_table_the_error_says_what_to_switch_off(
    host: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with running(host) as gateway, embedding(gateway) as embeddings:
        embeddings._tokenize(["The client has read the table before it is gone."], 1)
        monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
        with pytest.raises(openai.BadRequestError, match=r"OpenAIEmbeddings\(check_embedding_ctx_length=False\)"):
            await embeddings.aembed_documents(TEXTS)

    assert embedded(host) == []

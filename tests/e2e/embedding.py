"""OpenAI's SDK as the caller for vectors, and what it gets held to OpenAI's form and to the host's numbers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx2
from openai.types import CreateEmbeddingResponse

if TYPE_CHECKING:
    from gateway.simulator import Simulator
    from tests.e2e.calling import Caller
    from tests.e2e.wire import Answer

WAYS = ("sync", "async")


async def embed(caller: Caller, way: str, **fields: Any) -> CreateEmbeddingResponse:
    """Ask for vectors, in one of the ways."""
    if way == "sync":
        return await asyncio.to_thread(caller.sync.embeddings.create, **fields)
    answer: CreateEmbeddingResponse = await caller.client.embeddings.create(**fields)
    return answer


async def numbers(host: Simulator, model: str, texts: list[str], **fields: Any) -> list[list[float]]:
    """Return the vectors that a host itself gives; the request counts for nothing."""
    async with httpx2.AsyncClient(base_url=host.url, trust_env=False) as client:
        answer = await client.post("/api/embed", json={"model": model, "input": texts, **fields})
    host.requests.clear()
    vectors: list[list[float]] = answer.json()["embeddings"]
    return vectors


def embeds(host: Simulator) -> list[Any]:
    """Return the bodies of the requests for vectors that a host got."""
    return [request.json for request in host.requests if request.path == "/api/embed"]


def judge(answer: Answer) -> None:
    """Hold an answer with status 200 to what OpenAI would have sent (wire.md 6)."""
    if not answer.whole:
        return
    [said] = answer.data
    assert said.keys() - {"ollama"} == {"object", "data", "model", "usage"}
    assert (said["object"], said["model"]) == ("list", answer.asked["model"])
    assert said["usage"].keys() == {"prompt_tokens", "total_tokens"}
    assert [each["index"] for each in said["data"]] == list(range(len(said["data"])))
    wanted = str if answer.asked.get("encoding_format") == "base64" else list
    for each in said["data"]:
        assert each.keys() == {"object", "index", "embedding"}
        assert each["object"] == "embedding"
        assert isinstance(each["embedding"], wanted)

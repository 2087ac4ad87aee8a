"""The OpenAI SDK for JavaScript against a gateway: programs for Node that are told a base URL and a key, and no more."""

from __future__ import annotations

import json
import struct
from typing import Any

import httpx2

from gateway.config import KeySettings
from gateway.simulator import Simulator, demo
from gateway.simulator.faults import Cut
from tests.e2e.cast import SAID, models
from tests.e2e.programs import run
from tests.interop.installed import JS, NODE
from tests.running import Running, chats, running

GREETING = "This is the demo model of ollama-gateway: a simulation, not a language model."


def host(**settings: Any) -> Simulator:
    return Simulator(version="0.33.0", models=(demo, *models("0.33")), **settings)


async def node(program: str, gateway: Running, api_key: str = "none") -> Any:
    """Run a program, and return what it prints: one line of JSON."""
    status, out, err = await run(
        NODE, str(JS / program), OPENAI_BASE_URL=f"{gateway.url}/v1", OPENAI_API_KEY=api_key, NODE_OPTIONS=""
    )
    assert err == ""
    assert status == 0
    return json.loads(out)


def said(chunks: list[Any]) -> str:
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


async def test_a_chat_in_one_piece_and_in_many() -> None:
    async with host() as simulator, running(simulator) as gateway:
        found = await node("chat.mjs", gateway)

    [choice] = found["whole"]["choices"]
    usage = found["whole"]["usage"]
    assert (choice["message"]["content"], choice["finish_reason"]) == (SAID, "stop")
    assert found["whole"]["model"] == "chat:0.33"
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0

    assert said(found["chunks"]) == said(found["counted"]) == found["heard"] == SAID
    assert [chunk for chunk in found["chunks"] if "usage" in chunk] == []
    assert found["chunks"][-1]["choices"][0]["finish_reason"] == "stop"
    *chunks, last = found["counted"]
    assert {chunk["usage"] for chunk in chunks} == {None}
    assert (last["choices"], last["usage"]) == ([], usage)

    [final] = found["final"]["choices"]
    assert (final["message"]["content"], final["finish_reason"]) == (SAID, "stop")


async def test_tools_that_the_sdk_runs() -> None:
    async with host() as simulator, running(simulator) as gateway:
        found = await node("tools.mjs", gateway)

        results = [body["messages"][-1] for body in chats(simulator) if body["messages"][-1]["role"] == "tool"]
    answer = f"{GREETING} The tool get_weather said: 21 degrees"
    assert found["calls"] == [{"city": "Paris"}] * 2
    assert found["content"] == found["streamed"] == answer
    assert [message["role"] for message in found["messages"]] == ["user", "assistant", "tool", "assistant"]
    assert [(result["tool_name"], result["content"]) for result in results] == [("get_weather", "21 degrees")] * 2

    [event] = found["events"]
    assert (event["name"], event["index"]) == ("get_weather", 0)
    assert json.loads(event["arguments"]) == {"city": "Paris"}
    [choice] = found["final"]["choices"]
    [call] = choice["message"]["tool_calls"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert call["id"]
    assert (call["type"], json.loads(call["function"]["arguments"])) == ("function", {"city": "Paris"})


async def test_a_host_does_not_work_for_a_program_that_left() -> None:
    async with host(parallel=1) as simulator, running(simulator) as gateway:
        simulator.token_seconds = 0.01
        found = await node("abort.mjs", gateway)

        asked = [request.ended for request in simulator.requests if request.inference]
    assert asked == ["cancelled"] * 4 + ["complete"]
    assert found == {"thrown": ["APIUserAbortError", "APIConnectionTimeoutError"], "said": SAID}


async def test_errors_are_those_that_the_sdk_has_classes_for() -> None:
    secret = "sk-alice-0123456789"
    async with host() as simulator, running(simulator, keys=(KeySettings(name="alice", secret=secret),)) as gateway:
        simulator.script(Cut(3, end="reset", path="/api/chat"))
        found = await node("errors.mjs", gateway, api_key=secret)

        asked = len(chats(simulator))
    assert all(error.pop("message") and error.pop("requestID", "none") for error in found)
    assert found == [
        {
            "name": "AuthenticationError",
            "status": 401,
            "type": "invalid_request_error",
            "code": "invalid_api_key",
            "param": None,
        },
        {
            "name": "NotFoundError",
            "status": 404,
            "type": "invalid_request_error",
            "code": "model_not_found",
            "param": "model",
        },
        {
            "name": "BadRequestError",
            "status": 400,
            "type": "invalid_request_error",
            "code": "invalid_type",
            "param": "temperature",
        },
        {"name": "APIError", "type": "server_error", "code": "upstream_error", "param": None},
    ]
    assert asked == 1


async def test_the_list_of_models() -> None:
    async with host() as simulator, running(simulator) as gateway:
        found = await node("models.mjs", gateway)

    ids = [model["id"] for model in found["listed"]]
    assert set(ids) == {model.name for model in (demo, *models("0.33"))}
    assert {model["object"] for model in found["listed"]} == {"model"}
    assert found["one"] == found["listed"][ids.index("chat:0.33")]


async def test_vectors_are_those_of_the_host() -> None:
    async with host() as simulator, running(simulator) as gateway:
        found = await node("embeddings.mjs", gateway)
        async with httpx2.AsyncClient(base_url=simulator.url, trust_env=False) as client:
            body = {"model": "demo", "input": ["good bye", "hello world"]}
            native = (await client.post("/api/embed", json=body)).json()
            short = (await client.post("/api/embed", json={**body, "input": "hello world", "dimensions": 8})).json()

    def vectors(name: str) -> list[Any]:
        assert [each["index"] for each in found[name]["data"]] == list(range(len(found[name]["data"])))
        return [each["embedding"] for each in found[name]["data"]]

    assert vectors("float") == native["embeddings"]
    assert vectors("byDefault") == [single(vector) for vector in native["embeddings"]]
    assert vectors("short") == [single(vector) for vector in short["embeddings"]]
    tokens = native["prompt_eval_count"]
    assert found["byDefault"]["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}


def single(vector: list[float]) -> list[float]:
    """Return numbers as they are in base64, which has single precision."""
    form = f"<{len(vector)}f"
    return list(struct.unpack(form, struct.pack(form, *vector)))


async def test_completions() -> None:
    async with host() as simulator, running(simulator) as gateway:
        found = await node("completions.mjs", gateway)

        asked = [request.json for request in simulator.requests if request.path == "/api/generate"]
    [choice] = found["whole"]["choices"]
    assert found["whole"]["object"] == "text_completion"
    assert (choice["text"], choice["finish_reason"], choice["index"]) == (SAID, "stop", 0)
    assert [(each["index"], each["text"]) for each in found["two"]["choices"]] == [(0, SAID), (1, SAID)]
    assert sorted(body["prompt"] for body in asked) == ["hi", "hi", "hi", "you"]

    *chunks, last = found["chunks"]
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == SAID
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert (last["choices"], last["usage"]) == ([], found["whole"]["usage"])

"""A host gets the bytes that the caller sent, and the caller those that the host answered, whatever is asked."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import httpx2
import pytest

from tests.native.trio import CHAT, EMBED, EMBEDDINGS, GENERATE, HI, PATHS, SHOW, lines

pytestmark = pytest.mark.asyncio(loop_scope="module")


TIMES = {"created_at", "total_duration", "load_duration", "prompt_eval_duration", "eval_duration", "modified_at"}


def model_for(path: str) -> str:
    """Return a model without settings that a path is for."""
    return "tiny-embed" if path in (EMBED, EMBEDDINGS) else "tiny-plain"


@pytest.mark.parametrize("path", PATHS)
async def test_a_host_gets_the_bytes_that_the_caller_sent(three, path):
    asked = json.dumps({**HI[path], "unknown": [1.0, 1e2, "\u20ac"]})[1:]
    body = f' {{\r\n\t"model" :  "{model_for(path)}",{asked}\n\n'.encode()
    answer = await three.ask(path, body)

    [(host, sent)] = three.sent(path)
    assert answer.status_code == 200
    assert sent == body
    assert answer.headers["x-gateway-host"] == host


async def test_large_bodies_are_the_same_bytes_too(three):
    image = base64.b64encode(bytes(range(256)) * 20_000).decode()
    body = json.dumps({"model": "see", "messages": [{"role": "user", "content": "hi", "images": [image]}]}).encode()
    answer = await three.ask(CHAT, body)

    assert answer.status_code == 200
    assert three.sent(CHAT) == [("new", body)]


async def test_a_host_is_not_told_who_the_caller_is(three):
    headers = {"authorization": "Bearer secret", "cookie": "a=b", "x-forwarded-for": "1.2.3.4", "user-agent": "me"}
    await three.ask(CHAT, model="tiny-plain", headers=headers)

    [request] = [request for request in three.hosts["old"].requests if request.path == CHAT]
    assert {name.lower() for name, _ in request.headers} == {"host", "content-type", "content-length"}


PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(40)).decode()
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}
FORM = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def said(content: str = "hi", **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content, **more}]}


FEATURES: list[tuple[str, str, dict[str, Any]]] = [
    (CHAT, "tiny-plain", said()),
    (CHAT, "tiny-plain", said("long") | {"options": {"num_predict": 5}}),
    (CHAT, "tiny-native", said() | {"tools": [TOOL]}),
    (CHAT, "tiny-think", said() | {"think": "high"}),
    (CHAT, "tiny-think", said() | {"think": False}),
    (CHAT, "tiny-think", said("json") | {"think": True, "format": FORM}),
    (CHAT, "tiny-native", said("json") | {"format": "json"}),
    (CHAT, "see", said(images=[PNG])),
    (CHAT, "tiny-native", said("dice") | {"logprobs": True, "top_logprobs": 2, "options": {"temperature": 0}}),
    (CHAT, "tiny-native", {"messages": [{"role": "assistant", "content": "a", "thinking": "b"}, *said()["messages"]]}),
    (CHAT, "tiny-plain", said() | {"_debug_render_only": True}),
    (GENERATE, "tiny-plain", {"prompt": "hi"}),
    (GENERATE, "see", {"prompt": "hi", "images": [PNG]}),
    (GENERATE, "tiny-plain", {"prompt": "hi", "system": "Be kind.", "template": "{{ .System }} {{ .Prompt }}"}),
    (GENERATE, "tiny-plain", {"prompt": "<|s:json|>", "raw": True}),
    (GENERATE, "tiny-think", {"prompt": "hi", "think": True, "logprobs": True}),
    (GENERATE, "tiny-native", {"prompt": "json", "format": FORM}),
    (EMBED, "tiny-embed", {"input": ["hello", "world"], "dimensions": 8}),
    (EMBED, "tiny-embed", {"input": []}),
    (EMBEDDINGS, "tiny-embed", {"prompt": "hello"}),
    (SHOW, "tiny-think", {"verbose": True}),
    # What a host refuses, in its own words.
    (CHAT, "tiny-plain", said() | {"tools": [TOOL]}),
    (CHAT, "tiny-plain", said() | {"think": True}),
    (CHAT, "tiny-native", said() | {"options": {"num_ctx": "many"}}),
    (CHAT, "tiny-native", said() | {"keep_alive": "soon"}),
    (CHAT, "tiny-native", said() | {"stream": "no"}),
    (CHAT, "tiny-native", {"messages": "hi"}),
    (CHAT, "tiny-native", said(images=["!"])),
    (CHAT, "tiny-plain", said("x" * 40_000) | {"truncate": False}),
    (GENERATE, "tiny-plain", {"prompt": "a", "suffix": "b"}),
    (GENERATE, "tiny-plain", {"prompt": "a", "raw": True, "system": "b"}),
    (GENERATE, "tiny-plain", {"prompt": "a", "template": "{{ .Prompt"}),
    (EMBED, "tiny-embed", {"input": [1, 2]}),
    (EMBED, "tiny-native", {"input": "hello"}),
    (EMBEDDINGS, "tiny-embed", {"prompt": ["hello"]}),
]


def comparable(answer: httpx2.Response) -> tuple[int, str, list[Any]]:
    """Return an answer without its times, and without the ids of calls, which are random."""
    text = re.sub(r'"id":"\w+"', '"id":""', answer.text)
    values = [
        {name: value for name, value in json.loads(line).items() if name not in TIMES} for line in text.splitlines()
    ]
    return answer.status_code, answer.headers["content-type"], values


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("path", "model", "asked"), FEATURES, ids=[f"{path} {json.dumps(asked)[:70]}" for path, _, asked in FEATURES]
)
async def test_a_caller_gets_what_the_host_gives_without_a_gateway(three, path, model, asked, stream):
    body = json.dumps({"stream": stream, "model": model, **asked}).encode()
    through = await three.ask(path, body)

    [(host, sent)] = three.sent(path)
    assert sent == body
    async with httpx2.AsyncClient(base_url=three.hosts[host].url, trust_env=False) as client:
        direct = await client.post(path, content=body)
    assert comparable(through) == comparable(direct)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_conversation_goes_on_from_its_context(three, stream):
    first = await three.ask(GENERATE, model="see", stream=stream)
    context = lines(first)[-1]["context"]
    second = await three.ask(GENERATE, model="see", stream=stream, context=context, prompt="more")

    assert lines(second)[-1]["context"][: len(context)] == context
    assert json.loads(three.sent(GENERATE)[-1][1])["context"] == context

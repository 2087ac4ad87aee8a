"""Every kind of request has its call, and what reads the answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapters.errors import ContextLengthExceeded
from adapters.ollama import chat, embed, generate
from adapters.ollama.calls import decode_refusal, decoder, encode_request
from adapters.types import ChatRequest, EmbedRequest, GenerateRequest, Message, Request

REQUESTS: dict[str, tuple[Request, type[Any], str]] = {
    "/api/chat": (ChatRequest(model="m", messages=(Message(role="user", text="a"),)), chat.StreamDecoder, "messages"),
    "/api/generate": (GenerateRequest(model="m", prompt="a", suffix="b"), generate.StreamDecoder, "prompt"),
    "/api/embed": (EmbedRequest(model="m", inputs=("a", "b")), embed.VectorsDecoder, "input"),
}
"""By the call's target: a request, what reads the answer, and the field that is too long when there is too much."""


@pytest.mark.parametrize("target", REQUESTS)
def test_each_request_has_its_call(target: str) -> None:
    asked, reads, field = REQUESTS[target]
    call = encode_request(asked, model="m:latest", profile=None, version=None)
    refusal = decode_refusal(asked, 400, b'{"error":"the input length exceeds the context length"}')

    assert (call.method, call.target) == ("POST", target)
    assert b'"model":"m:latest"' in call.body
    assert isinstance(decoder(asked, call_id=str), reads)
    assert isinstance(refusal, ContextLengthExceeded)
    assert refusal.param == field


@pytest.mark.parametrize(
    ("legacy", "text", "param"),
    [
        (False, "x does not support tools", "tools"),
        (True, "x does not support tools", "functions"),
        (True, "json: cannot unmarshal string into Go struct field ChatRequest.tools of type api.Tools", "functions"),
        (True, "top_logprobs must be between 0 and 20", "top_logprobs"),
    ],
)
def test_a_refusal_names_the_field_that_the_caller_gave_its_functions_in(legacy: bool, text: str, param: str) -> None:
    chats = ChatRequest(model="m", messages=(Message(role="user", text="a"),), legacy_functions=legacy)
    assert decode_refusal(chats, 400, json.dumps({"error": text}).encode()).param == param


def test_a_request_of_another_kind_has_none() -> None:
    other = Request(model="m")

    with pytest.raises(TypeError):
        encode_request(other, model="m", profile=None, version=None)
    with pytest.raises(TypeError):
        decoder(other, call_id=str)

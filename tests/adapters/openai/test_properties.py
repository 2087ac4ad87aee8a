from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from adapters.errors import HostBroken, InvalidRequest
from adapters.openai.chat import AnswerEncoder, Head, StreamEncoder, decode_request
from adapters.openai.chat_request import READ, REFUSED
from adapters.options import KNOWN, RETIRED
from adapters.types import Alternative, ChatRequest, Delta, Event, Failure, Finish, TokenLogprob, ToolCall, Usage
from tests.adapters.openai.answers import accumulate, answer, chunks, events

EXTENSIONS = {"options", "ollama", "keep_alive", "think", "format", "truncate", "shift", "_debug_render_only"}
FIELDS = sorted(READ | REFUSED.keys() | KNOWN.keys() | RETIRED | EXTENSIONS)
WORDS = sorted(
    {"user", "assistant", "tool", "function", "text", "image_url", "input_audio", "refusal", "json", "json_schema"}
    | {"json_object", "none", "auto", "required", "low", "10m", "data:;base64,QUJD", "https://x", "{}", '{"a":1}'}
)
KEYS = sorted(
    {"role", "content", "type", "text", "url", "image_url", "input_audio", "data", "name", "arguments", "schema"}
    | {"tool_calls", "function_call", "tool_call_id", "reasoning", "reasoning_details", "id", "stop", "num_ctx"}
    | {"function", "parameters", "json_schema", "effort", "enabled", "include_usage", "options"}
)

texts = st.text(max_size=8) | st.sampled_from(WORDS)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(KEYS) | st.sampled_from(FIELDS) | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=20,
)
messages = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant", "tool", "function", "developer"])},
        optional={
            "content": values,
            "tool_calls": st.lists(values, max_size=2),
            "function_call": values,
            "tool_call_id": texts,
            "name": texts,
            "reasoning": texts,
        },
    ),
    min_size=1,
    max_size=3,
)
requests = st.builds(
    lambda fields, model, conversation: {**fields, "model": model, "messages": conversation},
    st.dictionaries(st.sampled_from(FIELDS), values, max_size=4),
    st.text(min_size=1, max_size=5),
    messages,
)


def check(body: bytes) -> None:
    """Decode; what comes out is a request fit to be handed on, or a refusal with a place and a reason."""
    try:
        request = decode_request(body)
    except InvalidRequest as error:
        assert error.message
        assert error.code
        return
    assert isinstance(request, ChatRequest)
    assert json.loads(msgspec.json.encode(request))
    assert ", ".join(request.ignored).isascii()
    for message in request.messages:
        assert all(isinstance(json.loads(bytes(call.arguments)), dict) for call in message.tool_calls)


@given(st.binary())
def test_any_bytes_are_a_request_or_a_refusal(body: bytes) -> None:
    check(body)


@given(values)
def test_any_json_is_a_request_or_a_refusal(value: Any) -> None:
    check(json.dumps(value).encode())


@given(requests)
def test_anything_like_a_request_is_a_request_or_a_refusal(request: dict[str, Any]) -> None:
    check(json.dumps(request).encode())


@given(requests, st.data())
def test_a_request_cut_short_is_a_refusal(request: dict[str, Any], data: st.DataObject) -> None:
    body = json.dumps(request).encode()
    cut = data.draw(st.integers(0, len(body) - 1))
    try:
        decode_request(body[:cut])
    except InvalidRequest as error:
        assert error.param is None
    else:
        raise AssertionError(body[:cut])


@given(requests)
def test_decoding_is_the_same_every_time(request: dict[str, Any]) -> None:
    body = json.dumps(request).encode()
    try:
        first = msgspec.json.encode(decode_request(body))
    except InvalidRequest as error:
        first = error.message.encode()
    try:
        second = msgspec.json.encode(decode_request(body))
    except InvalidRequest as error:
        second = error.message.encode()
    assert first == second


HEAD = Head(id="chatcmpl-1", created=1, model="m")

logprobs = st.builds(
    TokenLogprob,
    st.text(max_size=3),
    st.floats(-100, 0),
    st.none() | st.lists(st.integers(0, 255), max_size=3),
    st.lists(st.builds(Alternative, st.text(max_size=3), st.floats(-100, 0)), max_size=2),
)
calls = st.builds(
    ToolCall,
    id=st.text(min_size=1, max_size=5),
    name=st.text(min_size=1, max_size=5),
    arguments=st.dictionaries(st.text(max_size=3), scalars, max_size=3).map(
        lambda value: Raw(json.dumps(value).encode())
    ),
)
deltas = st.builds(
    Delta,
    text=st.text(max_size=5),
    thinking=st.text(max_size=5),
    tool_calls=st.lists(calls, max_size=2).map(tuple),
    logprobs=st.lists(logprobs, max_size=2).map(tuple),
)
finishes = st.builds(
    Finish,
    reason=st.sampled_from(["stop", "length", "tool_calls"]),
    usage=st.builds(
        Usage,
        prompt=st.integers(0, 9),
        completion=st.integers(0, 9),
        cached=st.none() | st.integers(0, 9),
        thinking=st.integers(0, 9),
        estimated=st.booleans(),
    ),
    timings=st.dictionaries(st.text(max_size=5), st.integers(0, 2**53) | st.text(max_size=5), max_size=2),
)
failures = st.builds(lambda text: Failure(HostBroken(text)), st.text(max_size=5))


def numbered(pieces: list[Delta]) -> list[Event]:
    """Number the calls through the answer, as every decoder of a host's answer does."""
    count = 0
    found: list[Event] = []
    for piece in pieces:
        renumbered = []
        for call in piece.tool_calls:
            renumbered.append(msgspec.structs.replace(call, index=count))
            count += 1
        found.append(msgspec.structs.replace(piece, tool_calls=tuple(renumbered)))
    return found


@given(st.lists(deltas | finishes | failures, max_size=6), st.booleans(), st.data())
def test_any_events_make_a_well_formed_stream(pieces: list[Event], include_usage: bool, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(pieces)))
    encoder = StreamEncoder(HEAD, include_usage=include_usage)
    sent = encoder.encode(pieces[:cut]) + encoder.encode(pieces[cut:])
    assert sent == StreamEncoder(HEAD, include_usage=include_usage).encode(pieces)
    found = events(sent)
    ends = [piece for piece in pieces if not isinstance(piece, Delta)]
    if not ends:
        assert "[DONE]" not in found
    elif isinstance(ends[0], Finish):
        assert found.index("[DONE]") == len(found) - 1
    else:
        assert "[DONE]" not in found
        assert json.loads(found.pop())["error"].keys() == {"message", "type", "param", "code"}
    assert all(json.loads(data)["object"] == "chat.completion.chunk" for data in found if data != "[DONE]")


@given(st.lists(deltas, max_size=5), finishes, st.booleans())
def test_a_stream_put_together_is_the_whole_answer(pieces: list[Delta], finish: Finish, include_usage: bool) -> None:
    told = [*numbered(pieces), finish]
    sent = chunks(StreamEncoder(HEAD, include_usage=include_usage).encode(told), include_usage=include_usage)
    encoder = AnswerEncoder(HEAD)
    encoder.feed(told)
    found = answer(encoder.encode())
    [choice] = found["choices"]
    message = choice["message"]
    assert accumulate(sent) == {
        "text": message["content"] or "",
        "reasoning": message.get("reasoning", ""),
        "tool_calls": {
            index: {"id": call["id"], "type": call["type"], **call["function"]}
            for index, call in enumerate(message.get("tool_calls", []))
        },
        "logprobs": (choice["logprobs"] or {}).get("content", []),
        "finish_reason": choice["finish_reason"],
    }
    assert sent[-1].get("ollama") == found.get("ollama")
    if include_usage:
        assert sent[-1]["usage"] == found["usage"]

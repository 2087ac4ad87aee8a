from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from adapters.errors import HostBroken, InvalidRequest
from adapters.openai.chat import AnswerEncoder, ChoicesStreamEncoder, Head, StreamEncoder, decode_request
from adapters.openai.chat_request import READ, REFUSED
from adapters.openai.errors import encode_error
from adapters.options import KNOWN, RETIRED
from adapters.types import Alternative, ChatRequest, Delta, Event, Failure, Finish, TokenLogprob, ToolCall, Usage
from tests.adapters.openai.answers import accumulate, answer, chunks, events, snapshot

EXTENSIONS = {"options", "ollama", "keep_alive", "think", "format", "truncate", "shift", "_debug_render_only"}
FIELDS = sorted(READ | REFUSED.keys() | KNOWN.keys() | RETIRED | EXTENSIONS)
WORDS = sorted(
    {"user", "assistant", "tool", "function", "text", "image_url", "input_audio", "refusal", "json", "json_schema"}
    | {"json_object", "none", "auto", "required", "low", "10m", "data:;base64,QUJD", "https://x", "{}", '{"a":1}'}
    | {"allowed_tools", "f"}
)
KEYS = sorted(
    {"role", "content", "type", "text", "url", "image_url", "input_audio", "data", "name", "arguments", "schema"}
    | {"tool_calls", "function_call", "tool_call_id", "reasoning", "reasoning_details", "id", "stop", "num_ctx"}
    | {"function", "parameters", "json_schema", "effort", "enabled", "include_usage", "options"}
    | {"allowed_tools", "tools", "mode", "strict"}
)

unhurried = settings(deadline=None)

# Half surrogate pairs included: JSON can spell them, and no text of ours may hold them.
texts = st.text(st.characters(exclude_categories=()), max_size=8) | st.sampled_from(WORDS)
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


def outcome(body: bytes) -> ChatRequest | InvalidRequest:
    """Decode; any other exception than a refusal fails the test."""
    try:
        return decode_request(body)
    except InvalidRequest as error:
        return error


tools = st.fixed_dictionaries(
    {"type": st.just("function"), "function": st.fixed_dictionaries({"name": st.sampled_from(["f", "g"])})}
)
choices = (
    values
    | tools
    | st.fixed_dictionaries({"type": st.just("function"), "name": st.sampled_from(["f", "h"])})
    | st.fixed_dictionaries(
        {"type": st.just("allowed_tools"), "allowed_tools": values | st.fixed_dictionaries({"tools": st.lists(tools)})}
    )
)


def check(body: bytes) -> None:
    """Decode; what comes out is a request fit to be handed on, or a refusal with its reason."""
    result = outcome(body)
    if isinstance(result, InvalidRequest):
        assert result.message
        assert json.loads(encode_error(result))["error"]["code"]
        return
    assert json.loads(msgspec.json.encode(result))
    assert ", ".join(result.ignored).isascii()
    for message in result.messages:
        assert all(isinstance(json.loads(bytes(call.arguments)), dict) for call in message.tool_calls)


@unhurried
@given(st.binary())
def test_any_bytes_are_a_request_or_a_refusal(body: bytes) -> None:
    check(body)


@unhurried
@given(values)
def test_any_json_is_a_request_or_a_refusal(value: Any) -> None:
    check(json.dumps(value).encode())


@unhurried
@given(requests)
def test_anything_like_a_request_is_a_request_or_a_refusal(request: dict[str, Any]) -> None:
    check(json.dumps(request).encode())


@unhurried
@given(st.lists(tools, max_size=2), choices, st.booleans())
def test_any_choice_leaves_tools_that_it_may_demand(given: list[Any], choice: Any, legacy: bool) -> None:
    functions = [tool["function"] for tool in given]
    fields = {"functions": functions, "function_call": choice} if legacy else {"tools": given, "tool_choice": choice}
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}).encode()
    check(body)
    request = outcome(body)
    if isinstance(request, ChatRequest):
        assert {tool.name for tool in request.tools} <= {function["name"] for function in functions}
        match request.tool_choice:
            case "none":
                assert not request.tools
            case "required":
                assert request.tools
            case "named":
                assert len(request.tools) == 1


@unhurried
@given(requests, st.data())
def test_a_request_cut_short_is_a_refusal_of_the_whole(request: dict[str, Any], data: st.DataObject) -> None:
    body = json.dumps(request).encode()
    result = outcome(body[: data.draw(st.integers(0, len(body) - 1))])
    assert isinstance(result, InvalidRequest)
    assert result.param is None


HEAD = Head(id="chatcmpl-1", created=1, model="m")

logprobs = st.builds(
    TokenLogprob,
    st.text(max_size=3),
    st.floats(-100, 0),
    st.none() | st.lists(st.integers(0, 255), max_size=3),
    st.lists(st.builds(Alternative, st.text(max_size=3), st.floats(-100, 0)), max_size=2),
)
objects = st.dictionaries(st.text(max_size=3), scalars, max_size=3)
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


@unhurried
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


@unhurried
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


CHOICES = 3
placed = st.lists(st.tuples(st.integers(0, CHOICES - 1), st.lists(deltas | finishes | failures, max_size=3)))


@unhurried
@given(placed, st.booleans())
def test_any_events_of_several_choices_make_a_well_formed_stream(
    placed: list[tuple[int, list[Event]]], include_usage: bool
) -> None:
    encoder = ChoicesStreamEncoder(HEAD, CHOICES, include_usage=include_usage)
    sent = b"".join(encoder.encode([each]) for each in placed)
    assert sent == ChoicesStreamEncoder(HEAD, CHOICES, include_usage=include_usage).encode(placed)
    found = events(sent)
    assert [data for data in found if data == "[DONE]" or "error" in json.loads(data)] == found[-1:] * encoder.ended
    assert encoder.ended == (encoder.fail(HostBroken("x")) == b"")
    told = [choice for data in found if data != "[DONE]" for choice in json.loads(data).get("choices", ())]
    for index in range(CHOICES):
        ends = [choice["finish_reason"] is not None for choice in told if choice["index"] == index]
        assert not any(ends[:-1])


@unhurried
@given(st.lists(st.lists(deltas, max_size=3), min_size=CHOICES, max_size=CHOICES), st.data())
def test_the_sdk_puts_any_choices_together(told: list[list[Delta]], data: st.DataObject) -> None:
    """Whatever the order in which the choices speak, the SDK's accumulator finds the whole answer."""
    ends = data.draw(st.lists(finishes, min_size=CHOICES, max_size=CHOICES))
    pieces = [[*numbered(choice), end] for choice, end in zip(told, ends, strict=True)]
    order = data.draw(st.permutations([index for index, choice in enumerate(pieces) for _ in choice]))
    left = [iter(choice) for choice in pieces]
    spoken = [(index, [next(left[index])]) for index in order]
    sent = ChoicesStreamEncoder(HEAD, CHOICES, include_usage=True).encode(spoken)
    encoder = AnswerEncoder(HEAD, CHOICES)
    for index, choice in enumerate(pieces):
        encoder.feed(choice, index)
    expected = answer(encoder.encode())
    made = snapshot(chunks(sent, include_usage=True))
    assert made["usage"] == expected["usage"]
    for choice, meant in zip(made["choices"], expected["choices"], strict=True):
        assert (choice["index"], choice["finish_reason"]) == (meant["index"], meant["finish_reason"])
        for name in ("content", "reasoning", "tool_calls"):
            assert (choice["message"].get(name) or None) == (meant["message"].get(name) or None)

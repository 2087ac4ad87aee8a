"""Answers with several choices: whole, and in streams as callers put them together."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from adapters.errors import HostBroken, HostTimeout
from adapters.openai.chat import AnswerEncoder, ChoicesStreamEncoder, Head
from adapters.types import Delta, Event, Failure, Finish, ToolCall, Usage
from tests.adapters.openai.answers import answer, chunks, events, snapshot

HEAD = Head(id="chatcmpl-1", created=1700000000, model="m")
FULL_HEAD = Head(id="chatcmpl-1", created=1700000000, model="m", fingerprint="fp_1", metadata={"job": "7"})
SUN = ToolCall(id="call_a", name="sun", arguments=Raw(b'{"city": "Oslo"}'))
RAIN = ToolCall(id="call_b", name="rain", arguments=Raw(b"{}"), index=1)
ONE = Finish(reason="stop", usage=Usage(prompt=11, completion=7, cached=2, thinking=3), timings={"eval_duration": 1})
OTHER = Finish(reason="length", usage=Usage(prompt=11, completion=5, cached=9), timings={"eval_duration": 2})
CALLED = Finish(reason="tool_calls", usage=Usage(prompt=12, completion=1))
BOTH = {
    "prompt_tokens": 11,
    "completion_tokens": 12,
    "total_tokens": 23,
    "prompt_tokens_details": {"cached_tokens": 2, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 3,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}
ERROR = HostTimeout("The model took too long.")

Placed = list[tuple[int, list[Event]]]

INTERLEAVED: Placed = [
    (0, [Delta(thinking="Hm")]),
    (1, [Delta(text="Good")]),
    (0, [Delta(text="Hi"), Delta(text="!")]),
    (1, [Delta(text=" day"), OTHER]),
    (0, [ONE]),
]
BACKWARDS: Placed = [
    (2, [Delta(text="c")]),
    (1, [Delta(tool_calls=(SUN, RAIN)), CALLED]),
    (2, [ONE]),
    (0, [Delta(text="a"), OTHER]),
]


def whole(placed: Placed, n: int, head: Head = HEAD) -> dict[str, Any]:
    encoder = AnswerEncoder(head, n)
    for index, told in placed:
        encoder.feed(told, index)
    return answer(encoder.encode())


def stream(placed: Placed, n: int, *, include_usage: bool = False, head: Head = HEAD) -> bytes:
    """Return the stream of these events, which is the same whether they come one by one or together."""
    encoder = ChoicesStreamEncoder(head, n, include_usage=include_usage)
    sent = b"".join(encoder.encode([(index, [event])]) for index, told in placed for event in told)
    assert encoder.ended == (b"[DONE]" in sent or b'"error"' in sent)
    assert ChoicesStreamEncoder(head, n, include_usage=include_usage).encode(placed) == sent
    return sent


def said(message: dict[str, Any]) -> dict[str, Any]:
    """Return what a message says, which is what a stream can say as well."""
    return {name: value for name, value in message.items() if value not in (None, [])}


def test_a_whole_answer() -> None:
    found = whole(INTERLEAVED, 2)
    first, second = found["choices"]
    assert (first["message"]["content"], first["message"]["reasoning"], first["finish_reason"]) == ("Hi!", "Hm", "stop")
    assert (second["message"]["content"], second["finish_reason"]) == ("Good day", "length")
    assert "reasoning" not in second["message"]


def test_what_choices_took_is_told_together_and_the_prompt_counts_once() -> None:
    assert whole(INTERLEAVED, 2)["usage"] == BOTH


def test_each_choice_has_its_hosts_account() -> None:
    found = whole(INTERLEAVED, 2, FULL_HEAD)
    assert [choice["ollama"] for choice in found["choices"]] == [
        {"eval_duration": 1, "reasoning_tokens_estimated": True},
        {"eval_duration": 2},
    ]
    assert "ollama" not in found
    assert (found["metadata"], found["system_fingerprint"]) == ({"job": "7"}, "fp_1")


def test_a_host_that_accounts_for_nothing() -> None:
    assert ["ollama" in choice for choice in whole(BACKWARDS, 3)["choices"]] == [True, False, True]


def test_calls_of_each_choice_are_its_own() -> None:
    found = whole([(0, [Delta(tool_calls=(SUN,)), CALLED]), (1, [Delta(tool_calls=(SUN, RAIN)), CALLED])], 2)
    calls = [[call["id"] for call in choice["message"]["tool_calls"]] for choice in found["choices"]]
    assert calls == [["call_a"], ["call_a", "call_b"]]


def test_a_whole_answer_of_one_choice_is_the_answer() -> None:
    encoder = AnswerEncoder(HEAD)
    encoder.feed([Delta(text="Hi"), ONE])
    assert whole([(0, [Delta(text="Hi"), ONE])], 1) == answer(encoder.encode())


def test_without_the_end_of_one_choice_there_is_no_answer() -> None:
    encoder = AnswerEncoder(HEAD, 2)
    encoder.feed([Delta(text="Hi"), ONE], 0)
    encoder.feed([Delta(text="Good")], 1)
    with pytest.raises(HostBroken):
        encoder.encode()


def test_the_failure_of_one_choice_fails_the_whole_answer() -> None:
    encoder = AnswerEncoder(HEAD, 2)
    encoder.feed([Delta(text="Hi"), ONE], 0)
    with pytest.raises(HostTimeout) as caught:
        encoder.feed([Delta(text="Good"), Failure(ERROR)], 1)
    assert caught.value is ERROR


@pytest.mark.parametrize("include_usage", [False, True])
def test_the_chunks_of_interleaved_choices(include_usage: bool) -> None:
    found = chunks(stream(INTERLEAVED, 2, include_usage=include_usage), include_usage=include_usage)
    role = {"role": "assistant", "content": "", "refusal": None}
    choices = [choice for chunk in found for choice in chunk["choices"]]
    assert [(choice["index"], choice["delta"], choice["finish_reason"]) for choice in choices] == [
        (0, role, None),
        (0, {"reasoning": "Hm", "reasoning_content": "Hm"}, None),
        (1, role, None),
        (1, {"content": "Good"}, None),
        (0, {"content": "Hi"}, None),
        (0, {"content": "!"}, None),
        (1, {"content": " day"}, None),
        (1, {}, "length"),
        (0, {}, "stop"),
    ]
    ends = [chunk for chunk in found if chunk["choices"] and chunk["choices"][0]["finish_reason"]]
    assert [chunk["ollama"] for chunk in ends] == [
        {"eval_duration": 2},
        {"eval_duration": 1, "reasoning_tokens_estimated": True},
    ]
    assert [chunk for chunk in found if "ollama" in chunk] == ends


def test_usage_comes_once_after_all_choices() -> None:
    sent = stream(INTERLEAVED, 2, include_usage=True)
    *told, last = chunks(sent, include_usage=True)
    assert [chunk["usage"] for chunk in told] == [None] * len(told)
    assert (last["choices"], last["usage"]) == ([], BOTH)
    assert [data for data in events(sent) if data == "[DONE]"] == events(sent)[-1:]


def test_a_stream_without_usage_ends_with_the_last_choice() -> None:
    sent = stream(INTERLEAVED, 2)
    assert chunks(sent, include_usage=False)[-1]["choices"][0]["finish_reason"] == "stop"
    assert [data for data in events(sent) if data == "[DONE]"] == events(sent)[-1:]


@pytest.mark.parametrize("include_usage", [False, True])
def test_metadata_comes_once_and_the_fingerprint_on_each_chunk(include_usage: bool) -> None:
    found = chunks(stream(INTERLEAVED, 2, include_usage=include_usage, head=FULL_HEAD), include_usage=include_usage)
    assert found[-1]["metadata"] == {"job": "7"}
    assert sum("metadata" in chunk for chunk in found) == 1
    assert {chunk["system_fingerprint"] for chunk in found} == {"fp_1"}


def test_metadata_without_usage_is_in_the_first_choices_last_chunk() -> None:
    found = chunks(stream(BACKWARDS[::-1], 3, head=FULL_HEAD), include_usage=False)
    [chunk] = [chunk for chunk in found if "metadata" in chunk]
    assert (chunk["choices"][0]["index"], chunk["choices"][0]["finish_reason"]) == (0, "length")


@pytest.mark.parametrize(("placed", "n"), [(INTERLEAVED, 2), (BACKWARDS, 3), (BACKWARDS[::-1], 3)])
def test_the_sdk_puts_a_stream_together_to_the_whole_answer(placed: Placed, n: int) -> None:
    made = snapshot(chunks(stream(placed, n, include_usage=True), include_usage=True))
    expected = whole(placed, n)
    assert made["usage"] == expected["usage"]
    assert [(choice["index"], choice["finish_reason"], choice["message"]) for choice in made["choices"]] == [
        (choice["index"], choice["finish_reason"], said(choice["message"])) for choice in expected["choices"]
    ]


def test_a_choice_that_says_nothing_is_begun_before_those_after_it() -> None:
    found = chunks(stream(BACKWARDS, 3), include_usage=False)
    begun = [chunk["choices"][0]["index"] for chunk in found if "role" in chunk["choices"][0]["delta"]]
    assert begun == [0, 1, 2]


@pytest.mark.parametrize("include_usage", [False, True])
def test_legacy_functions(include_usage: bool) -> None:
    head = Head(id="chatcmpl-1", created=1700000000, model="m", legacy_functions=True)
    placed: Placed = [(0, [Delta(tool_calls=(SUN,)), CALLED]), (1, [Delta(text="Hi"), ONE])]
    called = {"name": "sun", "arguments": '{"city": "Oslo"}'}
    for choices in (
        whole(placed, 2, head)["choices"],
        snapshot(chunks(stream(placed, 2, include_usage=include_usage, head=head), include_usage=include_usage))[
            "choices"
        ],
    ):
        assert [choice["finish_reason"] for choice in choices] == ["function_call", "stop"]
        assert choices[0]["message"]["function_call"] == called
        assert "function_call" not in choices[1]["message"]


def test_a_failure_in_the_middle_is_the_last_event_of_all_choices() -> None:
    encoder = ChoicesStreamEncoder(HEAD, 2, include_usage=True)
    sent = encoder.encode([(0, [Delta(text="Hi"), ONE]), (1, [Delta(text="Good"), Failure(ERROR)]), (1, [OTHER])])
    assert json.loads(events(sent)[-1])["error"]["code"] == "timeout"
    assert sum('"error"' in data for data in events(sent)) == 1
    assert "[DONE]" not in events(sent)
    assert encoder.ended
    assert encoder.encode([(0, [Delta(text="more")]), (1, [Delta(text="more"), OTHER])]) == b""
    assert encoder.fail(ERROR) == b""


def test_a_failure_silences_the_choices_that_still_went_on() -> None:
    sent = stream([(0, [Delta(text="Hi"), Failure(ERROR)]), (1, [Delta(text="Good"), OTHER])], 2)
    assert [json.loads(data).get("object", "error") for data in events(sent)] == ["chat.completion.chunk"] * 2 + [
        "error"
    ]


def test_a_failure_that_the_gateway_sees() -> None:
    encoder = ChoicesStreamEncoder(HEAD, 2, include_usage=False)
    encoder.encode([(0, [Delta(text="Hi"), ONE])])
    [data] = events(encoder.fail(ERROR))
    assert json.loads(data)["error"]["message"] == "The model took too long."
    assert encoder.ended
    assert encoder.fail(ERROR) == b""


def test_nothing_follows_the_end() -> None:
    encoder = ChoicesStreamEncoder(HEAD, 2, include_usage=False)
    assert encoder.encode([]) == b""
    assert encoder.encode([(0, [ONE]), (0, [OTHER]), (0, [Delta(text="more")])]).count(b'"finish_reason":"') == 1
    assert not encoder.ended
    assert encoder.encode([(1, [OTHER])]).endswith(b"data: [DONE]\n\n")
    assert encoder.encode([(0, [ONE]), (1, [Delta(text="more"), Failure(ERROR)])]) == b""
    assert encoder.fail(ERROR) == b""

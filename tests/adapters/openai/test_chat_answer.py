from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from adapters.errors import HostBroken, HostTimeout, InvalidRequest
from adapters.openai.chat import AnswerEncoder, Head, StreamEncoder
from adapters.types import Alternative, Delta, Event, Failure, Finish, TokenLogprob, ToolCall, Usage, Vectors
from tests.adapters.openai.answers import answer, chunks, events, snapshot

HEAD = Head(id="chatcmpl-1", created=1700000000, model="llama3.2")
FULL_HEAD = Head(id="chatcmpl-1", created=1700000000, model="m", fingerprint="fp_1", metadata={"job": "7"})
LEGACY_HEAD = Head(id="chatcmpl-1", created=1700000000, model="llama3.2", legacy_functions=True)
SHARED = (
    '{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"llama3.2",'
    '"service_tier":"default","system_fingerprint":null,"choices":['
)
ROLE = '{"role":"assistant","content":"","refusal":null}'
ROLE_OF_CALLS = '{"role":"assistant","content":null,"refusal":null}'
SUN = ToolCall(id="call_a", name="sun", arguments=Raw(b'{"city": "Oslo"}'))
RAIN = ToolCall(id="call_b", name="rain", arguments=Raw(b"{}"), index=1)
USAGE = Usage(prompt=11, completion=7, cached=3, thinking=2)
USAGE_JSON = (
    '{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18,'
    '"prompt_tokens_details":{"cached_tokens":3,"audio_tokens":0},'
    '"completion_tokens_details":{"reasoning_tokens":2,"audio_tokens":0,'
    '"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}'
)
STOP = Finish(reason="stop", usage=Usage(prompt=1, completion=1))
TIMED = Finish(reason="stop", usage=USAGE, timings={"total_duration": 9, "done_reason": "stop"})
HI = TokenLogprob("hi", -0.5, [104, 105], [Alternative("hi", -0.5, [104, 105]), Alternative("\ufffd", -1.0)])
HI_JSON = (
    '{"token":"hi","logprob":-0.5,"bytes":[104,105],"top_logprobs":['
    '{"token":"hi","logprob":-0.5,"bytes":[104,105]},{"token":"\ufffd","logprob":-1.0,"bytes":null}]}'
)
BARE_JSON = '{"token":"!","logprob":-2.0,"bytes":null,"top_logprobs":[]}'


def choice(delta: str, logprobs: str = "null", finish: str = "null") -> str:
    return f'{SHARED}{{"index":0,"delta":{delta},"logprobs":{logprobs},"finish_reason":{finish}}}]'


def stream(*pieces: Event, include_usage: bool = False, head: Head = HEAD) -> bytes:
    return StreamEncoder(head, include_usage=include_usage).encode(pieces)


def whole(*pieces: Event, head: Head = HEAD) -> dict[str, Any]:
    encoder = AnswerEncoder(head)
    encoder.feed(pieces)
    return answer(encoder.encode())


@pytest.mark.parametrize(
    ("pieces", "deltas", "finish"),
    [
        ([STOP], [ROLE], "stop"),
        ([Delta(text="Hi"), STOP], [ROLE, '{"content":"Hi"}'], "stop"),
        (
            [Delta(text="Hi"), Delta(text=' "you"\n<é🙂'), STOP],
            [ROLE, '{"content":"Hi"}', '{"content":" \\"you\\"\\n<é🙂"}'],
            "stop",
        ),
        ([Delta(), Delta(text="Hi"), Delta(), STOP], [ROLE, '{"content":"Hi"}'], "stop"),
        (
            [Delta(thinking="Hm"), Delta(thinking="…"), Delta(text="Hi"), STOP],
            [
                ROLE,
                '{"reasoning":"Hm","reasoning_content":"Hm"}',
                '{"reasoning":"…","reasoning_content":"…"}',
                '{"content":"Hi"}',
            ],
            "stop",
        ),
        (
            [Delta(thinking="Hm", text="Hi"), STOP],
            [ROLE, '{"reasoning":"Hm","reasoning_content":"Hm"}', '{"content":"Hi"}'],
            "stop",
        ),
        (
            [Delta(tool_calls=(SUN, RAIN)), Finish(reason="tool_calls", usage=USAGE)],
            [
                ROLE_OF_CALLS,
                '{"tool_calls":[{"index":0,"id":"call_a","type":"function","function":{"name":"sun","arguments":""}}]}',
                '{"tool_calls":[{"index":0,"function":{"arguments":"{\\"city\\": \\"Oslo\\"}"}}]}',
                '{"tool_calls":[{"index":1,"id":"call_b","type":"function","function":{"name":"rain","arguments":""}}]}',
                '{"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]}',
            ],
            "tool_calls",
        ),
        (
            [Delta(text="Look: ", tool_calls=(RAIN,)), Finish(reason="tool_calls", usage=USAGE)],
            [
                ROLE,
                '{"content":"Look: "}',
                '{"tool_calls":[{"index":1,"id":"call_b","type":"function","function":{"name":"rain","arguments":""}}]}',
                '{"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]}',
            ],
            "tool_calls",
        ),
        ([Delta(text="Hi"), Finish(reason="length", usage=USAGE)], [ROLE, '{"content":"Hi"}'], "length"),
    ],
)
@pytest.mark.parametrize("include_usage", [False, True])
def test_a_stream_byte_by_byte(pieces: list[Event], deltas: list[str], finish: str, include_usage: bool) -> None:
    encoder = StreamEncoder(HEAD, include_usage=include_usage)
    sent = b"".join(encoder.encode([piece]) for piece in pieces)
    *data, done = events(sent)
    end = data.pop() if include_usage else ""
    between = ',"usage":null}' if include_usage else "}"
    *middle, last = data
    assert middle == [choice(delta) + between for delta in deltas]
    assert last.startswith(choice("{}", finish=f'"{finish}"'))
    assert end.startswith(f'{SHARED}],"usage":{{' if include_usage else "")
    assert done == "[DONE]"
    chunks(sent, include_usage=include_usage)
    assert sent == stream(*pieces, include_usage=include_usage)


def test_the_last_chunks_with_usage() -> None:
    finish, usage, done = events(stream(Delta(text="Hi"), TIMED, include_usage=True))[-3:]
    assert finish == choice("{}", finish='"stop"') + ',"usage":null}'
    assert usage == (
        f'{SHARED}],"usage":{USAGE_JSON},'
        '"ollama":{"total_duration":9,"done_reason":"stop","reasoning_tokens_estimated":true}}'
    )
    assert done == "[DONE]"


def test_the_last_chunk_without_usage() -> None:
    finish, done = events(stream(Delta(text="Hi"), TIMED))[-2:]
    assert finish == (
        choice("{}", finish='"stop"')
        + ',"ollama":{"total_duration":9,"done_reason":"stop","reasoning_tokens_estimated":true}}'
    )
    assert done == "[DONE]"


def test_a_last_chunk_with_nothing_to_add() -> None:
    assert events(stream(STOP))[-2] == choice("{}", finish='"stop"') + "}"


@pytest.mark.parametrize("include_usage", [False, True])
def test_metadata_comes_once_and_the_fingerprint_on_each_chunk(include_usage: bool) -> None:
    sent = stream(Delta(text="a"), STOP, include_usage=include_usage, head=FULL_HEAD)
    found = chunks(sent, include_usage=include_usage)
    assert [chunk.get("metadata") for chunk in found] == [None] * (len(found) - 1) + [{"job": "7"}]
    assert {chunk["system_fingerprint"] for chunk in found} == {"fp_1"}


def test_metadata_and_fingerprint_of_a_whole_answer() -> None:
    assert whole(STOP, head=FULL_HEAD)["metadata"] == {"job": "7"}
    assert whole(STOP, head=FULL_HEAD)["system_fingerprint"] == "fp_1"


def test_estimates_are_marked() -> None:
    estimated = Finish(reason="stop", usage=Usage(prompt=1, completion=1, estimated=True))
    assert chunks(stream(estimated), include_usage=False)[-1]["ollama"] == {"usage_estimated": True}
    assert whole(estimated)["ollama"] == {"usage_estimated": True}
    assert "ollama" not in whole(STOP)


def test_encoding_leaves_the_hosts_account_alone() -> None:
    whole(TIMED)
    assert TIMED.timings == {"total_duration": 9, "done_reason": "stop"}


@pytest.mark.parametrize(
    ("delta", "expected"),
    [
        (
            Delta(text="hi", logprobs=(HI, TokenLogprob("!", -2.0))),
            [choice(ROLE), choice('{"content":"hi"}', f'{{"content":[{HI_JSON},{BARE_JSON}],"refusal":null}}')],
        ),
        (
            Delta(logprobs=(HI,)),
            [choice(ROLE), choice("{}", f'{{"content":[{HI_JSON}],"refusal":null}}')],
        ),
        (
            Delta(thinking="hi", logprobs=(HI,)),
            [choice(ROLE), choice('{"reasoning":"hi","reasoning_content":"hi"}')],
        ),
        (
            Delta(logprobs=(HI,), tool_calls=(SUN,)),
            [choice(ROLE_OF_CALLS), choice("{}", f'{{"content":[{HI_JSON}],"refusal":null}}')],
        ),
    ],
)
def test_log_probabilities_in_a_stream(delta: Delta, expected: list[str]) -> None:
    sent = stream(delta)
    chunks(sent, include_usage=False)
    assert events(sent)[:2] == [f"{data}}}" for data in expected]


def test_log_probabilities_of_a_whole_answer() -> None:
    found = whole(Delta(thinking="hm", logprobs=(HI,)), Delta(text="hi", logprobs=(HI,)), STOP)
    assert found["choices"][0]["logprobs"] == {"content": [json.loads(HI_JSON)], "refusal": None}
    assert whole(Delta(text="hi"), STOP)["choices"][0]["logprobs"] is None


ERROR = HostTimeout("The model took too long.")
ERROR_EVENT = (
    b'data: {"error":{"message":"The model took too long.","type":"server_error","param":null,"code":"timeout"}}\n\n'
)


def test_a_failure_is_one_event_and_the_last() -> None:
    encoder = StreamEncoder(HEAD, include_usage=True)
    sent = encoder.encode([Delta(text="Hi"), Failure(ERROR), Delta(text="more"), STOP])
    assert sent.endswith(ERROR_EVENT)
    assert len(events(sent)) == 3
    assert encoder.encode([Delta(text="more"), STOP]) == b""
    assert encoder.fail(ERROR) == b""


def test_a_failure_before_anything_else() -> None:
    assert stream(Failure(ERROR)) == ERROR_EVENT


def test_a_failure_that_the_gateway_sees() -> None:
    encoder = StreamEncoder(HEAD, include_usage=False)
    encoder.encode([Delta(text="Hi")])
    assert encoder.fail(ERROR) == ERROR_EVENT
    assert encoder.fail(ERROR) == b""


def test_nothing_follows_the_end() -> None:
    encoder = StreamEncoder(HEAD, include_usage=False)
    assert encoder.encode([]) == b""
    assert encoder.encode([STOP]).endswith(b"data: [DONE]\n\n")
    assert encoder.encode([Delta(text="more"), STOP, Failure(ERROR)]) == b""
    assert encoder.fail(ERROR) == b""


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        ([], {"content": ""}),
        ([Delta(text="Hi"), Delta(text=" you")], {"content": "Hi you"}),
        (
            [Delta(thinking="Hm"), Delta(thinking="…", text="Hi")],
            {"content": "Hi", "reasoning": "Hm…", "reasoning_content": "Hm…"},
        ),
        (
            [Delta(tool_calls=(SUN,)), Delta(tool_calls=(RAIN,))],
            {
                "content": None,
                "tool_calls": [
                    {"id": "call_a", "type": "function", "function": {"name": "sun", "arguments": '{"city": "Oslo"}'}},
                    {"id": "call_b", "type": "function", "function": {"name": "rain", "arguments": "{}"}},
                ],
            },
        ),
        (
            [Delta(text="Look."), Delta(tool_calls=(RAIN,))],
            {
                "content": "Look.",
                "tool_calls": [{"id": "call_b", "type": "function", "function": {"name": "rain", "arguments": "{}"}}],
            },
        ),
    ],
)
def test_the_message_of_a_whole_answer(pieces: list[Event], message: dict[str, Any]) -> None:
    expected = {"role": "assistant", "refusal": None, "annotations": [], **message}
    assert whole(*pieces, STOP)["choices"][0]["message"] == expected


def test_a_whole_answer_byte_by_byte() -> None:
    encoder = AnswerEncoder(HEAD)
    encoder.feed([Delta(text="Hi")])
    encoder.feed([Delta(text="!"), TIMED])
    encoder.feed([Delta(text="after the end")])
    assert encoder.encode().decode() == (
        '{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"llama3.2",'
        '"service_tier":"default","system_fingerprint":null,"choices":[{"index":0,"message":{"role":"assistant",'
        '"content":"Hi!","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],'
        f'"usage":{USAGE_JSON},'
        '"ollama":{"total_duration":9,"done_reason":"stop","reasoning_tokens_estimated":true}}'
    )


def test_what_is_no_part_of_a_chat_is_passed_over() -> None:
    vectors = Vectors((Raw(b"[1]"),))
    assert whole(Delta(text="Hi"), vectors, STOP) == whole(Delta(text="Hi"), STOP)
    assert stream(Delta(text="Hi"), vectors, STOP) == stream(Delta(text="Hi"), STOP)


def test_a_failure_ends_the_fold() -> None:
    error = InvalidRequest("no", param="x")
    with pytest.raises(InvalidRequest) as caught:
        AnswerEncoder(HEAD).feed([Delta(text="Hi"), Failure(error)])
    assert caught.value is error


def test_an_answer_without_an_end_is_no_answer() -> None:
    encoder = AnswerEncoder(HEAD)
    encoder.feed([Delta(text="Hi")])
    with pytest.raises(HostBroken):
        encoder.encode()


def test_arguments_that_are_not_utf8_do_not_break_an_answer() -> None:
    broken = ToolCall(id="call_a", name="f", arguments=Raw(b'{"a":"\xff"}'))
    found = whole(Delta(tool_calls=(broken,)), STOP)
    assert found["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == '{"a":"\ufffd"}'


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        (Finish(reason="tool_calls", usage=USAGE), "function_call"),
        (STOP, "stop"),  # of a call that the caller asked for by its name
        (Finish(reason="length", usage=USAGE), "length"),
    ],
)
def test_a_call_of_a_legacy_function(finish: Finish, reason: str) -> None:
    told: list[Event] = [Delta(text="Look."), Delta(tool_calls=(SUN,)), finish]
    [choice] = whole(*told, head=LEGACY_HEAD)["choices"]
    assert choice["finish_reason"] == reason
    assert choice["message"] == {
        "role": "assistant",
        "content": "Look.",
        "refusal": None,
        "annotations": [],
        "function_call": {"name": "sun", "arguments": '{"city": "Oslo"}'},
    }


@pytest.mark.parametrize("include_usage", [False, True])
def test_a_call_of_a_legacy_function_in_a_stream(include_usage: bool) -> None:
    told: list[Event] = [Delta(tool_calls=(SUN,)), Finish(reason="tool_calls", usage=USAGE)]
    found = chunks(stream(*told, include_usage=include_usage, head=LEGACY_HEAD), include_usage=include_usage)
    choices = [chunk["choices"][0] for chunk in found if chunk["choices"]]
    assert [choice["delta"] for choice in choices] == [
        {"role": "assistant", "content": None, "refusal": None},
        {"function_call": {"name": "sun", "arguments": ""}},
        {"function_call": {"arguments": '{"city": "Oslo"}'}},
        {},
    ]
    assert [choice["finish_reason"] for choice in choices] == [None, None, None, "function_call"]
    [choice] = snapshot(found)["choices"]
    assert choice["message"]["function_call"] == {"name": "sun", "arguments": '{"city": "Oslo"}'}


def test_an_answer_to_a_legacy_request_without_a_call() -> None:
    told: list[Event] = [Delta(text="Hi"), STOP]
    assert whole(*told, head=LEGACY_HEAD) == whole(*told)
    assert stream(*told, head=LEGACY_HEAD) == stream(*told)

"""Answers that no recording has: from older hosts, from newer ones, and from hosts that are out of order."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.errors import GatewayError, HostBroken, InvalidRequest, OutOfMemory, ToolCallCut
from adapters.types import Delta, Failure, Finish, Usage
from tests.adapters.ollama.events import calls, comparable, decoded, decoder, texts


def frame(content: str = "", *, done: bool = False, message: dict[str, Any] | None = None, **fields: Any) -> bytes:
    said = {"role": "assistant", "content": content, **(message or {})}
    return json.dumps({"model": "m", "message": said, "done": done, **fields}, ensure_ascii=False).encode() + b"\n"


def tool_call(arguments: str = "{}", **fields: str) -> bytes:
    function = '{"name": "f", "arguments": ' + arguments + "}"
    rest = "".join(f', "{name}": "{value}"' for name, value in fields.items())
    return ('{"message": {"tool_calls": [{"function": ' + function + rest + "}]}}\n").encode()


DONE = frame(done=True, done_reason="stop", prompt_eval_count=5, eval_count=6)


# --- older and newer hosts --------------------------------------------------------------------------------------------


def test_calls_without_ids_and_indices_get_them_in_the_order_of_the_answer() -> None:
    events = decoded(tool_call(), tool_call(), DONE)
    assert events[:2] == [calls((0, "made-0", "f", "{}")), calls((1, "made-1", "f", "{}"))]
    assert events[2].reason == "tool_calls"


def test_calls_keep_their_ids() -> None:
    assert decoded(tool_call(id="call_x"), DONE)[0] == calls((0, "call_x", "f", "{}"))


@pytest.mark.parametrize(
    ("sent", "taken"),
    [('{"b": 1,"a" :[2.50]}', '{"b": 1,"a" :[2.50]}'), ("null", "{}"), ('{"é":"\\u00e9"}', '{"é":"\\u00e9"}')],
)
def test_arguments_keep_their_order_and_spelling(sent: str, taken: str) -> None:
    assert decoded(tool_call(sent), DONE)[0] == calls((0, "made-0", "f", taken))


def test_absent_arguments_are_none() -> None:
    line = b'{"message": {"tool_calls": [{"function": {"name": "f"}}]}}\n'
    assert decoded(line, DONE)[0] == calls((0, "made-0", "f", "{}"))


def test_one_frame_may_carry_everything() -> None:
    line = frame("text", message={"thinking": "hm"}, logprobs=[{"token": "text", "logprob": -1}])
    delta = decoded(line, DONE)[0]
    assert (delta.text, delta.thinking, delta.logprobs[0].token) == ("text", "hm", "text")


def test_cached_tokens_are_told_when_the_host_tells_them() -> None:
    line = frame(done=True, prompt_eval_count=9, prompt_eval_cached_count=0, eval_count=1)
    assert decoded(line)[-1].usage == Usage(prompt=9, completion=1, cached=0)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([frame(done=True)], "stop"),
        ([frame(done=True, done_reason="some new one")], "stop"),
        ([tool_call(), frame(done=True, done_reason="length")], "length"),
        ([b'{"done": true, "done_reason": "stop"}\n'], "stop"),
    ],
)
def test_every_end_has_a_reason(lines: list[bytes], reason: str) -> None:
    assert decoded(*lines)[-1].reason == reason


def test_an_end_may_carry_the_last_words() -> None:
    assert decoded(frame("bye", done=True)) == [*texts("bye"), Finish(reason="stop", usage=Usage())]


def test_blank_lines_and_carriage_returns_are_passed_over() -> None:
    assert decoded(b"\n \t\r\n", frame("a").replace(b"\n", b"\r\n"), b"\n", DONE)[:-1] == texts("a")


def test_unknown_fields_are_passed_over() -> None:
    line = frame("a", message={"images": [], "new": {"x": [1]}}, remote_host="x", error=None)
    assert decoded(line, DONE)[:-1] == texts("a")


# --- ends that the host does not say ----------------------------------------------------------------------------------


def test_an_answer_that_just_ends_gets_an_end() -> None:
    assert decoded(frame("four"), frame("four")) == [
        *texts("four", "four"),
        Finish(reason="stop", usage=Usage(completion=2, estimated=True)),
    ]


def test_a_long_piece_counts_by_its_length() -> None:
    assert decoded(frame("x" * 41))[-1].usage == Usage(completion=11, estimated=True)


def test_the_prompt_is_estimated_by_its_length() -> None:
    assert decoded(frame("x"), prompt_characters=9)[-1].usage == Usage(prompt=3, completion=1, estimated=True)


def test_thoughts_are_estimated_by_their_share() -> None:
    lines = [frame(message={"thinking": "x" * 12}), frame("y" * 4)]
    assert decoded(*lines)[-1].usage == Usage(completion=4, thinking=3, estimated=True)


@pytest.mark.parametrize(("limit", "reason"), [(None, "stop"), (-1, "stop"), (4, "stop"), (3, "length"), (2, "length")])
def test_an_end_without_a_word_at_the_limit_is_the_limits(limit: int | None, reason: str) -> None:
    assert decoded(frame("a"), frame("b"), frame("c"), num_predict=limit)[-1].reason == reason


def test_an_end_without_a_word_after_calls_is_theirs() -> None:
    assert decoded(tool_call())[-1].reason == "tool_calls"


def test_an_empty_frame_is_a_beginning() -> None:
    assert decoded(frame()) == [Finish(reason="stop", usage=Usage(estimated=True))]


# --- bodies that end with their connection ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        DONE,
        frame("a") + DONE.rstrip(),
        frame("whole", done=True, done_reason="stop").rstrip(),
        b'{"error": "CUDA error: out of memory"}',
    ],
)
def test_an_end_that_is_said_is_the_end_however_the_body_ends(body: bytes) -> None:
    assert decoded(body, framed=False) == decoded(body)


@pytest.mark.parametrize("body", [b"", b"\n", frame(), frame("a"), frame("a") + frame("b").rstrip()])
def test_where_only_the_connection_ends_an_answer_without_its_end_is_cut(body: bytes) -> None:
    events = decoded(body, framed=False)
    message = "The host closed the connection before the answer was whole."
    assert events[-1] == (HostBroken, None, message, "")
    assert not any(isinstance(event, Finish) for event in events)


def test_half_a_line_is_a_failure_where_the_connection_ends_too() -> None:
    body = frame("a")[:-5]
    assert decoded(body, framed=False) == decoded(body)
    assert decoded(body)[-1][0] is HostBroken


# --- hosts out of order -----------------------------------------------------------------------------------------------

GARBAGE = {
    "html": b"<html><body>502</body></html>\n",
    "nothing but text": b"hello\n",
    "null": b"null\n",
    "a list": b"[]\n",
    "a number": b"5\n",
    "an object of something else": b'{"status": "pulling"}\n',
    "an empty object": b"{}\n",
    "two objects on a line": frame("a").strip() + frame("b"),
    "content of another type": b'{"message": {"content": 5}}\n',
    "content that is null": b'{"message": {"content": null}}\n',
    "a message of another type": b'{"message": "hi"}\n',
    "done of another type": b'{"message": {}, "done": "yes"}\n',
    "a count of another type": b'{"done": true, "eval_count": "5"}\n',
    "a count with a fraction": b'{"done": true, "eval_count": 1.5}\n',
    "a negative count": b'{"done": true, "eval_count": -1}\n',
    "log probabilities of another type": b'{"message": {}, "logprobs": [5]}\n',
    "a call without a function": b'{"message": {"tool_calls": [{"id": "x"}]}}\n',
    "arguments as text": tool_call('"{}"'),
    "arguments as a list": tool_call("[]"),
    "arguments in broken UTF-8": tool_call('{"a": "?"}').replace(b"?", b"\xff"),
    "text in broken UTF-8": frame("?").replace(b"?", b"\xff"),
    "half a surrogate pair": b'{"message": {"content": "\\ud800"}}\n',
    "deep nesting": b'{"message": {}, "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
    "deep nesting in arguments": tool_call('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}"),
    "another version of UTF": '{"message": {"content": "hi"}}\n'.encode("utf-16"),
    "zeros": bytes(100) + b"\n",
}


@pytest.mark.parametrize("line", GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_a_failure_and_what_came_before_stays(line: bytes) -> None:
    events = decoded(frame("a"), line, frame("b"), DONE)
    assert events[:-1] == texts("a")
    kind, param, message, detail = events[-1]
    assert (kind, param) == (HostBroken, None)
    assert message == "The host's answer cannot be read, or is not whole. Try again."
    assert detail


@pytest.mark.parametrize("body", [b"", b"\n", b" \r\n\t"])
def test_an_empty_body_is_a_failure(body: bytes) -> None:
    [(kind, _, _, detail)] = decoded(body)
    assert (kind, detail) == (HostBroken, "the body is empty")


def test_half_a_line_is_a_failure() -> None:
    events = decoded(frame("a"), frame("b")[:20])
    assert events[:-1] == texts("a")
    assert events[-1][0] is HostBroken


def test_a_line_of_20_mb_is_a_failure_before_it_is_whole() -> None:
    reader = decoder()
    events = reader.feed(frame("a"))
    piece = b"x" * 65536
    fed = 0
    while not reader.finished:
        events += reader.feed(piece)
        fed += len(piece)
    assert fed == 8 * 1024 * 1024 + 65536
    assert reader.feed(piece) == reader.close() == []
    assert events[:-1] == texts("a")
    assert isinstance(events[-1], Failure)
    assert events[-1].error.detail == "a line is over its limit"


def test_what_came_with_a_line_that_is_too_long_stays() -> None:
    limit = len(frame("a"))
    reader = decoder(limit=limit)
    assert comparable(reader.feed(frame("a") + b"x" * (limit + 1) + b"\n" + frame("b")))[:-1] == texts("a")
    assert reader.finished


def test_an_end_before_a_line_that_is_too_long_is_the_end() -> None:
    reader = decoder(limit=len(DONE))
    [end] = reader.feed(DONE + b"x" * len(DONE) * 2)
    assert isinstance(end, Finish)


# --- errors within an answer ------------------------------------------------------------------------------------------

NESTED = json.dumps(
    {
        "error": json.dumps(
            {
                "error": {
                    "code": 400,
                    "message": "Multimodal data provided, but model does not support multimodal requests.",
                }
            }
        )
    }
)


@pytest.mark.parametrize(
    ("line", "error", "message"),
    [
        ('{"error": "CUDA error: out of memory"}', OutOfMemory, 'The model "mine" does not fit'),
        (NESTED, InvalidRequest, 'The model "mine" does not take images.'),
        ('{"error": {"message": "something new"}}', HostBroken, "The host failed to answer."),
        ('{"error": "something new", "done": true}', HostBroken, "The host failed to answer."),
        ('{"error": 5, "message": {"content": "x"}}', HostBroken, "The host failed to answer."),
        (
            '{"error": "llama-server returned invalid tool call arguments for \\"x\\": unexpected end of JSON input"}',
            ToolCallCut,
            "The answer ran into its token limit inside a call of a tool",
        ),
    ],
)
def test_an_error_line_is_what_it_says(line: str, error: type[GatewayError], message: str) -> None:
    kind, _, text, _ = decoded(line.encode(), model="mine")[-1]
    assert kind is error
    assert text.startswith(message)


@pytest.mark.parametrize(
    "line",
    [
        frame("marker", eval_count=-1),
        frame("marker").strip() + frame("marker"),
        frame("marker")[:-4],
        frame("?marker").replace(b"?", b"\xff"),
        tool_call('"marker"'),
        tool_call('["marker"]'),
        b'{"marker": "marker"}\n',
        frame("marker", error=5),
        frame("marker", error={"kind": "new"}),
        json.dumps({"error": "error parsing tool call: raw='{marker', err=unexpected end of JSON input"}).encode(),
    ],
)
def test_no_word_of_an_answer_goes_into_an_error(line: bytes) -> None:
    kind, _, message, detail = decoded(line)[-1]
    assert kind in (HostBroken, ToolCallCut)
    assert detail
    assert "marker" not in message + detail


# --- whatever comes ---------------------------------------------------------------------------------------------------

LINES = st.sampled_from(
    [
        frame("a"),
        frame(message={"thinking": "b"}),
        tool_call(),
        DONE,
        b"\n",
        b'{"error": "x"}\n',
        b"half",
        b"{",
        frame("c", logprobs=[{"token": "c", "logprob": 0}]),
        *GARBAGE.values(),
    ]
)


@given(st.lists(st.binary(max_size=64), max_size=8))
def test_no_bytes_make_it_raise(pieces: list[bytes]) -> None:
    events = decoded(*pieces)
    assert events
    assert not isinstance(events[-1], Delta)


@given(st.lists(LINES, max_size=12), st.lists(st.integers(min_value=1, max_value=200), min_size=1, max_size=20))
def test_any_pieces_of_a_body_give_the_same_events(lines: list[bytes], sizes: list[int]) -> None:
    body = b"".join(line for line in lines if len(line) < 1000)
    pieces = []
    rest = body
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    assert decoded(*pieces, rest) == decoded(body)

"""Every recorded answer on its way through: whole, byte by byte, and cut short. And answers that no Ollama gives."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from adapters.errors import GatewayError, HostBroken, HostRefused, OutOfMemory, RunnerCrashed
from adapters.ollama.answer import LINE_LIMIT
from adapters.ollama.calls import decode_refusal
from adapters.ollama.calls import decoder as decoder_for
from adapters.ollama.native import relay
from adapters.ollama.native.relay import RelayDecoder, RelayEncoder, whole
from adapters.ollama.native.request import CHAT, EMBED, EMBEDDINGS, GENERATE, NativeRequest, decode_request
from adapters.types import Event, Failure, Finish, Piece, Usage
from tests.adapters.ollama.recorded import Recording, recordings

ANSWERS = [one for path in (CHAT, GENERATE, EMBED, EMBEDDINGS) for one in recordings(path) if one.status == 200]

every_answer = pytest.mark.parametrize("answer", ANSWERS, ids=[answer.name for answer in ANSWERS])

LONG = 4000
"""Bytes from which on an answer is cut at its lines and a sample of its bytes only."""


def asked_in(answer: Recording) -> NativeRequest:
    body = answer.request.get("body_text") or json.dumps(answer.request["body"])
    return decode_request(answer.request["path"], body.encode())


def events_of(asked: NativeRequest, *pieces: bytes, framed: bool = True) -> Iterator[list[Event]]:
    """Yield what comes at each step, as an exchange does."""
    reader = RelayDecoder(asked)
    for piece in pieces:
        if (events := reader.feed(piece)) or reader.finished:
            yield events
        if reader.finished:
            return
    yield reader.close(framed=framed)
    assert reader.finished


def given(batches: Iterable[list[Event]]) -> tuple[bytes, Finish | Failure]:
    """Return the bytes that a caller gets, and how the answer ended."""
    encoder, data = RelayEncoder(), []
    last: Event | None = None
    for batch in batches:
        assert not encoder.ended
        data.append(encoder.encode(batch))
        last = batch[-1]
    assert encoder.ended
    assert isinstance(last, Finish | Failure)
    return b"".join(data), last


def counted(answer: Recording) -> Usage:
    """Return what the last line of a recording says."""
    lines = answer.body.splitlines()
    last = json.loads(lines[-1])
    if answer.body.endswith(b"\n") and not last["done"]:
        return Usage(completion=len(lines), estimated=True)
    return Usage(prompt=last.get("prompt_eval_count", 0), completion=last.get("eval_count", 0))


def tells_of_a_failure(answer: Recording) -> bool:
    return "error" in json.loads(answer.body.splitlines()[-1])


def is_error_line(line: bytes) -> bool:
    return line.endswith(b"\n") and line.count(b"\n") == 1 and list(json.loads(line)) == ["error"]


def test_the_recordings_are_there() -> None:
    assert len(ANSWERS) == 407
    assert sum(map(tells_of_a_failure, ANSWERS)) == 4


@every_answer
def test_every_answer_comes_out_as_it_is_and_is_counted(answer: Recording) -> None:
    data, end = given(events_of(asked_in(answer), answer.body))

    assert data == answer.body
    if tells_of_a_failure(answer):
        assert isinstance(end, Failure)
    else:
        assert isinstance(end, Finish)
        assert end.usage == counted(answer)


@every_answer
def test_byte_by_byte_comes_out_the_same(answer: Recording) -> None:
    data, end = given(events_of(asked_in(answer), *(bytes([byte]) for byte in answer.body)))
    _, whole_end = given(events_of(asked_in(answer), answer.body))

    assert data == answer.body
    assert isinstance(end, Failure) or end == whole_end


@every_answer
def test_an_answer_that_is_cut_ends_in_one_error_line(answer: Recording) -> None:
    asked = asked_in(answer)
    for cut in cuts(answer.body):
        lines = answer.body[: answer.body.rfind(b"\n", 0, cut) + 1]
        data, end = given(events_of(asked, answer.body[:cut], framed=False))

        assert data.startswith(lines)
        if isinstance(end, Failure):
            assert is_error_line(data[len(lines) :])
        else:
            assert data == answer.body[:cut]
            assert json.loads(data.splitlines()[-1]).get("done", True)


@every_answer
def test_lines_are_given_as_soon_as_they_are_whole(answer: Recording) -> None:
    reader, lines = RelayDecoder(asked_in(answer)), answer.body.splitlines(keepends=True)
    for line in lines[:-1]:
        assert reader.feed(line) == [Piece(line)]


@every_answer
def test_nothing_comes_after_the_end(answer: Recording) -> None:
    reader = RelayDecoder(asked_in(answer))
    reader.feed(answer.body)
    reader.close()

    assert reader.feed(answer.body) == []
    assert reader.close() == []


def cuts(body: bytes) -> list[int]:
    """Return the places at which a body is cut."""
    if len(body) <= LONG:
        return list(range(len(body)))
    lines = {place + 1 for place, byte in enumerate(body) if byte == 0x0A}
    return sorted((lines | set(range(0, len(body), 97))) - {len(body)})


# --- answers that no Ollama gives -------------------------------------------------------------------------------------

STREAM = decode_request(CHAT, b'{"model":"m"}')
WHOLE = decode_request(CHAT, b'{"model":"m","stream":false}')
FIRST = b'{"message":{"content":"a"},"done":false}\n'
LAST = b'{"done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":2}\n'

ODD_ENDS: dict[str, tuple[bytes, Usage]] = {
    "counts that are none": (b'{"done":true,"prompt_eval_count":null,"eval_count":"2"}\n', Usage()),
    "counts below zero": (b'{"done":true,"prompt_eval_count":-3,"eval_count":true}\n', Usage()),
    "a reason that is none": (b'{"done":true,"done_reason":null,"eval_count":2}\n', Usage(completion=2)),
    "cached tokens": (b'{"done":true,"prompt_eval_count":3,"prompt_eval_cached_count":0}\n', Usage(prompt=3, cached=0)),
    "cached tokens that are none": (b'{"done":true,"prompt_eval_cached_count":"x"}\n', Usage(cached=0)),
    "no counts": (b'{"done":true}\n', Usage()),
    "space": (b' { "done":  true , "eval_count" : 2 } \r\n', Usage(completion=2)),
    "no line feed": (b'{"done":true,"eval_count":2}', Usage(completion=2)),
}


@pytest.mark.parametrize(("last", "usage"), ODD_ENDS.values(), ids=ODD_ENDS)
def test_an_odd_last_line_is_passed_on_and_counted_as_far_as_it_goes(last: bytes, usage: Usage) -> None:
    data, end = given(events_of(STREAM, FIRST, last))

    assert (data, end) == (FIRST + last, Finish(reason="stop", usage=usage))


@pytest.mark.parametrize("asked", [STREAM, WHOLE], ids=["stream", "whole"])
def test_an_answer_that_met_its_limit_says_so(asked: NativeRequest) -> None:
    _, end = given(events_of(asked, LAST.replace(b"stop", b"length")))

    assert end == Finish(reason="length", usage=Usage(prompt=3, completion=2))


LOOKS_LIKE_AN_END = [
    b'{"message":{"content":"\\"done\\":true, \\"error\\":"},"done":false}\n',
    b'{"message":{"tool_calls":[{"function":{"arguments":{"done":true,"error":"x"}}}]},"done":false}\n',
    b'{"error":null,"done":false}\n',
    b'{"done":"very","x":{"done":true}}\n',
    b'["error":]\n',
    b'[{"error":1}]\n',
    b'"error":\xff\n',
    b'{"x":' + b"[" * 20_000 + b'{"done":true}' + b"]" * 20_000 + b"}\n",
]


@pytest.mark.parametrize("line", LOOKS_LIKE_AN_END, ids=lambda line: line[:40])
def test_what_only_looks_like_an_end_is_none(line: bytes) -> None:
    apart, end = given(events_of(STREAM, FIRST, line, FIRST, LAST))
    together, same = given(events_of(STREAM, FIRST + line + FIRST + LAST))

    assert apart == together == FIRST + line + FIRST + LAST
    assert end == same == Finish(reason="stop", usage=Usage(prompt=3, completion=2))


def test_lines_that_only_look_like_ends_are_given_at_once() -> None:
    reader = RelayDecoder(STREAM)

    assert reader.feed(FIRST + LOOKS_LIKE_AN_END[1]) == [Piece(FIRST + LOOKS_LIKE_AN_END[1])]
    assert not reader.finished


@pytest.mark.parametrize("feeds", [[FIRST, b"x\n" + LAST], [FIRST + b"\n\n" + LAST], [b"\n" + FIRST, LAST]])
def test_between_lines_anything_may_stand(feeds: list[bytes]) -> None:
    data, end = given(events_of(STREAM, *feeds))

    assert data == b"".join(feeds)
    assert isinstance(end, Finish)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n\n",
        b"  ",
        b"<html>hello</html>",
        b"<html>\nhello\n</html>\n",
        b'["x"]',
        b'["x"]\n',
        b"7",
        b"null\n",
        b"\x00\xff\xfe\n",
        b'{"x":' + b"[" * 200_000,
        b'{"model":"m","messag',
    ],
    ids=lambda body: body[:20],
)
@pytest.mark.parametrize("framed", [True, False])
@pytest.mark.parametrize("asked", [STREAM, WHOLE], ids=["stream", "whole"])
def test_what_is_no_answer_is_a_failure_before_anything_was_given(
    body: bytes, framed: bool, asked: NativeRequest
) -> None:
    [[failure]] = events_of(asked, body, framed=framed)

    assert isinstance(failure, Failure)
    assert isinstance(failure.error, HostBroken)
    assert failure.error.refusal is None
    assert failure.error.elsewhere == "once"


def test_what_is_wrong_is_told_without_words_of_the_answer() -> None:
    [[failure]] = events_of(WHOLE, b'{"secret')

    assert isinstance(failure, Failure)
    assert "secret" not in failure.error.message + failure.error.detail
    assert "in 8 bytes" in failure.error.detail


def test_a_stream_that_ends_without_a_word_was_meant_to_end_where_http_says_so() -> None:
    data, end = given(events_of(STREAM, FIRST + FIRST, framed=True))

    assert (data, end) == (2 * FIRST, Finish(reason="stop", usage=Usage(completion=2, estimated=True)))


@pytest.mark.parametrize("rest", [b"", b"\n", FIRST[:-1], FIRST[:9]], ids=["a line", "a gap", "nearly a line", "half"])
def test_a_stream_that_ends_with_its_connection_was_cut(rest: bytes) -> None:
    data, end = given(events_of(STREAM, FIRST + rest, framed=False))

    assert isinstance(end, Failure)
    assert isinstance(end.error, HostBroken)
    assert data.startswith(FIRST)
    assert is_error_line(data[len(FIRST) :].lstrip(b"\n"))


@pytest.mark.parametrize("asked", [WHOLE, decode_request(EMBED, b"{}")], ids=["text", "vectors"])
def test_a_whole_answer_may_end_with_its_connection(asked: NativeRequest) -> None:
    data, end = given(events_of(asked, b'{"embeddings":[[1]],"prompt_eval_count":5}', framed=False))

    assert data == b'{"embeddings":[[1]],"prompt_eval_count":5}'
    assert end == Finish(reason="stop", usage=Usage(prompt=5))


VECTORS = {
    "as Go writes them": b'{"model":"m","embeddings":[[1,2],[3,4]],"prompt_eval_count":5}',
    "with space": b'{"embeddings": [ [1, 2], [3, 4] ], "prompt_eval_count": 5}',
    "with brackets after them": b'{"embeddings":[[1]],"x":"]]","prompt_eval_count":5}',
    "with lists after them": b'{"embeddings":[[1]],"x":[[2]],"prompt_eval_count":5}',
    "with the same words within a text": b'{"x":"\\"embeddings\\":[[","embeddings":[[1]],"prompt_eval_count":5}',
    "none": b'{"embeddings":[],"prompt_eval_count":5}',
    "empty ones": b'{"embeddings":[[]],"prompt_eval_count":5}',
}


@pytest.mark.parametrize("body", VECTORS.values(), ids=VECTORS)
def test_what_stands_around_vectors_is_read(body: bytes) -> None:
    asked = decode_request(EMBED, b"{}")
    data, end = given(events_of(asked, body))

    assert (data, end) == (body, Finish(reason="stop", usage=Usage(prompt=5)))
    for cut in range(len(body)):
        [[failure]] = events_of(asked, body[:cut])
        assert isinstance(failure, Failure)


def test_an_error_beside_vectors_is_an_error() -> None:
    [[failure]] = events_of(decode_request(EMBED, b"{}"), b'{"embeddings":[[1]],"error":"what"}')

    assert isinstance(failure, Failure)


# --- failures that the host tells of ----------------------------------------------------------------------------------

CRASH = b'{"error":"an error was encountered while running the model: unexpected EOF"}'
MEMORY = b'{"error":"CUDA error: out of memory"}'
ODD_ERROR = b'{"error":{"code":500,"message":"what"}}'


@pytest.mark.parametrize(("line", "error"), [(CRASH, RunnerCrashed), (MEMORY, OutOfMemory), (ODD_ERROR, HostBroken)])
@pytest.mark.parametrize("after", [b"\n", b" \r\n", b"", b"\n" + FIRST], ids=["line", "space", "no line feed", "more"])
def test_an_error_line_ends_a_stream_in_the_hosts_own_words(
    line: bytes, error: type[GatewayError], after: bytes
) -> None:
    data, end = given(events_of(STREAM, FIRST, FIRST + line + after))

    assert data == FIRST + FIRST + line + b"\n"
    assert isinstance(end, Failure)
    assert type(end.error) is error


@pytest.mark.parametrize("asked", [STREAM, WHOLE], ids=["stream", "whole"])
def test_an_error_before_anything_else_is_a_failure_that_another_host_may_mend(asked: NativeRequest) -> None:
    [[failure]] = events_of(asked, CRASH + b"\n")

    assert isinstance(failure, Failure)
    assert failure.error.refusal is not None
    assert (failure.error.refusal.status, failure.error.refusal.body) == (500, CRASH)


def test_an_error_that_is_not_for_the_caller_is_told_in_the_gateways_words() -> None:
    data, end = given(events_of(STREAM, FIRST, b'{"error":"unauthorized"}\n'))

    assert isinstance(end, Failure)
    assert isinstance(end.error, HostRefused)
    assert is_error_line(data[len(FIRST) :])
    assert b"unauthorized" not in data


def test_what_the_gateway_finds_out_ends_a_stream_too() -> None:
    encoder = RelayEncoder()

    assert encoder.encode([Piece(FIRST)]) == FIRST
    assert not encoder.ended
    assert encoder.fail(HostBroken("The connection was cut.")) == b'{"error":"The connection was cut."}\n'
    assert encoder.ended


# --- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [[], [FIRST]], ids=["first", "later"])
def test_a_line_over_the_limit_is_a_failure_and_is_not_kept(before: list[bytes]) -> None:
    piece = b'{"x":"' + b"y" * (LINE_LIMIT // 4)
    data, end = given(events_of(STREAM, *before, *[piece] * 5))

    assert isinstance(end, Failure)
    assert f"more than {LINE_LIMIT} bytes" in end.error.detail
    assert data.startswith(b"".join(before))
    assert len(data) < 1000


def test_a_line_up_to_the_limit_is_passed_on() -> None:
    line = b'{"x":"' + b"y" * (LINE_LIMIT - 8) + b'"}'
    data, _ = given(events_of(STREAM, line[:-5], line[-5:], b"\n", LAST))

    assert data == line + b"\n" + LAST


def test_a_whole_answer_may_be_larger_than_a_line_and_not_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "WHOLE_LIMIT", 2 * LINE_LIMIT)
    large = b'{"x":"' + b"y" * (2 * LINE_LIMIT - 8) + b'"}'
    data, end = given(events_of(WHOLE, large))
    [[failure]] = events_of(WHOLE, large + b" ")

    assert data == large
    assert isinstance(end, Finish)
    assert isinstance(failure, Failure)


# --- as one of several kinds of answers -------------------------------------------------------------------------------


def test_a_native_request_has_its_reader_and_its_refusals() -> None:
    reader: Any = decoder_for(STREAM, call_id=str)

    assert isinstance(reader, RelayDecoder)
    assert whole([*reader.feed(FIRST), *reader.feed(LAST)]) == FIRST + LAST
    assert isinstance(decode_refusal(STREAM, 500, MEMORY), OutOfMemory)


def test_a_line_of_many_pieces_comes_out_whole_and_is_held_in_few() -> None:
    line = b'{"message":{"content":"%b"},"done":false}\n' % (b"x" * 2 * relay._PIECES)
    decoder = RelayDecoder(decode_request(CHAT, b'{"model":"m"}'))
    held, events = 0, []
    for place in range(len(line)):
        events += decoder.feed(line[place : place + 1])
        held = max(held, len(decoder._rest))

    assert events == [Piece(line)]
    assert held <= relay._PIECES

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.errors import HostBroken
from gateway.hop.answer import Answer

MAX_HEADER = 1000
OK_LINE = b"HTTP/1.1 200 OK\r\n"


def feed(*data: bytes, method: str = "GET") -> Answer:
    answer = Answer(method, MAX_HEADER)
    for piece in data:
        answer.feed(piece)
    return answer


@pytest.mark.parametrize(
    ("wire", "method", "framed", "reusable"),
    [
        (OK_LINE + b"content-length: 2\r\n\r\nok", "GET", True, True),
        (OK_LINE + b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "GET", True, True),
        (OK_LINE + b"content-length: 9\r\n\r\n", "HEAD", True, True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "GET", True, True),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", "GET", True, True),
        (b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok", "GET", True, True),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", "GET", True, False),
        (OK_LINE + b"connection: close\r\ncontent-length: 2\r\n\r\nok", "GET", True, False),
        (OK_LINE + b"connection: x, Close\r\ncontent-length: 2\r\n\r\nok", "GET", True, False),
        (OK_LINE + b"content-length: 2\r\n\r\nok and more", "GET", True, False),
        (OK_LINE + b"content-length: 2\r\n\r\nok" + OK_LINE + b"content-length: 2\r\n\r\nno", "GET", True, False),
        (OK_LINE + b"connection: close\r\ncontent-length: 2\r\n\r\nok and more", "GET", True, False),
        (OK_LINE + b"content-length: 2\r\n\r\nok", "HEAD", True, False),
        (OK_LINE + b"transfer-encoding: chunked\r\n\r\nnonsense", "HEAD", True, False),
    ],
)
def test_complete_answer_says_whether_its_connection_can_be_used_again(
    wire: bytes, method: str, framed: bool, reusable: bool
) -> None:
    answer = feed(wire, method=method)
    assert answer.complete
    assert answer.framed == framed
    assert answer.reusable == reusable
    assert answer.take() in (b"ok", b"")


def test_answer_until_close_is_not_framed_and_ends_with_the_connection() -> None:
    answer = feed(OK_LINE + b"\r\nsome")
    assert (answer.head_complete, answer.framed, answer.complete) == (True, False, False)
    answer.feed_eof()
    assert (answer.complete, answer.reusable, answer.take()) == (True, False, b"some")


def test_headers_are_lower_case_in_order_and_without_padding() -> None:
    answer = feed(OK_LINE + b"B: 2 \t\r\nA:\r\nb: \t3\r\nContent-Length: 0\r\n\r\n")
    assert answer.headers == [(b"b", b"2"), (b"a", b""), (b"b", b"3"), (b"content-length", b"0")]


def test_interim_answers_leave_nothing_behind() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
    answer = feed(interim, interim)
    assert (answer.started, answer.head_complete, answer.complete) == (True, False, False)
    answer.feed(OK_LINE + b"content-length: 0\r\n\r\n")
    assert (answer.status, answer.headers, answer.complete) == (200, [(b"content-length", b"0")], True)


def test_trailers_are_not_headers() -> None:
    answer = feed(OK_LINE + b"transfer-encoding: chunked\r\n\r\n0\r\nx-sum: 1\r\n\r\n")
    assert answer.complete
    assert answer.headers == [(b"transfer-encoding", b"chunked")]


def test_take_empties_what_has_arrived() -> None:
    answer = feed(OK_LINE + b"content-length: 6\r\n\r\nab", b"cd")
    assert (answer.take(), answer.take()) == (b"abcd", b"")
    answer.feed(b"ef")
    assert answer.take() == b"ef"


@pytest.mark.parametrize(
    ("wire", "detail"),
    [
        (b"SSH-2.0-x\r\n", "begins with b'SSH-2.0-x"),
        (b"HTTP/2.0 200 OK\r\n\r\n", "version 2.0"),
        (b"HTTP/1.1 099 OK\r\n\r\n", "status 99"),
        (b"HTTP/1.1 101 OK\r\n\r\n", "status 101"),
        (b"HTTP/1.1 600 OK\r\n\r\n", "status 600"),
        (b"HTTP/1.1 999 OK\r\ncontent-length: 0\r\n\r\n", "status 999"),
        (b"HTTP/1.1 101 OK\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", "status 101"),
        (OK_LINE + b"transfer-encoding: gzip\r\n\r\n", "transfer-encoding b'gzip'"),
        (OK_LINE + b"transfer-encoding: chunked\r\n\r\nx\r\n", "chunk size"),
    ],
)
def test_senseless_answer_is_broken_and_the_detail_says_why(wire: bytes, detail: str) -> None:
    with pytest.raises(HostBroken, match="not proper HTTP") as caught:
        feed(wire)
    assert detail in caught.value.detail


def test_parser_error_is_kept_as_the_cause() -> None:
    with pytest.raises(HostBroken) as caught:
        feed(b"HTTP/1.1 nonsense\r\n\r\n")
    assert "HttpParser" in type(caught.value.__cause__).__name__


HEAD = OK_LINE + b"content-length: 2\r\n"


@pytest.mark.parametrize(
    "wire",
    [
        HEAD + b"x: " + b"y" * MAX_HEADER + b"\r\n\r\nok",
        HEAD + b"x: y\r\n" * 200 + b"\r\nok",
        HEAD + b"x: " + b"y" * 2 * MAX_HEADER,
        HEAD + b"y" * 2 * MAX_HEADER,
        b"HTTP/1.1 200 " + b"y" * 2 * MAX_HEADER,
        b"HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n" * 100,
        OK_LINE + b"transfer-encoding: chunked\r\n\r\n2;" + b"y" * 2 * MAX_HEADER,
        OK_LINE + b"transfer-encoding: chunked\r\n\r\n0\r\nx: " + b"y" * 2 * MAX_HEADER,
    ],
    ids=["long header", "many headers", "endless value", "endless name", "endless reason", "endless interim answers",
         "endless chunk extension", "endless trailer"],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_what_is_not_body_is_bounded_however_it_is_cut(wire: bytes, size: int) -> None:
    with pytest.raises(HostBroken, match="header block of the host's answer is too large"):
        feed(*(wire[at : at + size] for at in range(0, len(wire), size)))


def test_large_body_is_not_bounded() -> None:
    answer = feed(OK_LINE + b"content-length: 100000\r\n\r\n", *[b"x" * 1000] * 100)
    assert answer.complete
    assert len(answer.take()) == 100_000


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        (b"", "without an answer"),
        (b"HT", "in the middle"),
        (OK_LINE, "in the middle"),
        (OK_LINE + b"content-length: 3\r\n\r\nok", "in the middle"),
        (OK_LINE + b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n", "in the middle"),
    ],
)
def test_end_of_the_connection_before_the_end_of_the_answer_is_broken(wire: bytes, message: str) -> None:
    answer = feed(*([wire] if wire else []))
    with pytest.raises(HostBroken, match=message):
        answer.feed_eof()


# --- any answer, cut anywhere

tokens = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=8).map(lambda name: b"x-" + name.encode())
values = st.text(st.characters(codec="latin-1", categories=["L", "N", "P"]), max_size=12).map(
    lambda value: value.encode("latin-1")
)
headers = st.lists(st.tuples(tokens, values), max_size=4)
pieces = st.lists(st.binary(min_size=1, max_size=40), max_size=5)


def encode_headers(pairs: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(b"%b: %b\r\n" % pair for pair in pairs)


@st.composite
def answers(draw: Any) -> tuple[bytes, int, bytes]:
    """Return a valid answer, its status and its body."""
    wire = b"".join(
        b"HTTP/1.1 %d x\r\n%b\r\n" % (interim, encode_headers(draw(headers)))
        for interim in draw(st.lists(st.sampled_from([100, 102, 103]), max_size=2))
    )
    status = draw(st.sampled_from([200, 201, 400, 404, 500, 503]))
    wire += b"HTTP/1.1 %d Reason\r\n%b" % (status, encode_headers(draw(headers)))
    body = draw(pieces)
    match draw(st.sampled_from(["length", "chunked", "close"])):
        case "length":
            wire += b"content-length: %d\r\n\r\n%b" % (len(b"".join(body)), b"".join(body))
        case "chunked":
            wire += b"transfer-encoding: chunked\r\n\r\n"
            wire += b"".join(b"%x;e=1\r\n%b\r\n" % (len(piece), piece) for piece in body)
            wire += b"0\r\n" + encode_headers(draw(headers)) + b"\r\n"
        case _:
            wire += b"\r\n" + b"".join(body)
    return wire, status, b"".join(body)


@st.composite
def spoiled(draw: Any) -> bytes:
    """Return an answer with something wrong in it, or bytes that never were one."""
    wire = bytearray(draw(st.one_of(answers().map(lambda drawn: drawn[0]), st.binary(max_size=100))))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(wire)))
        length = draw(st.integers(0, 3))
        wire[at : at + length] = draw(
            st.sampled_from([b"", b"\r", b"\n", b"\r\n", b":", b" ", b"0", b"f", b"HTTP", b"\0"])
        )
    return bytes(wire)


cuts = st.lists(st.integers(0, 400), max_size=12)


def cut(wire: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(place, len(wire)) for place in at), len(wire)]
    return [wire[start:end] for start, end in pairwise(edges) if end > start]


def outcome(segments: list[bytes]) -> object:
    """Return what an answer comes to when its connection ends after these segments."""
    answer = Answer("GET", 10_000)
    try:
        for segment in segments:
            answer.feed(segment)
            if answer.complete:
                break
        else:
            answer.feed_eof()
    except HostBroken:
        return "broken"
    return answer.status, answer.headers, answer.framed, answer.take()


@given(answers(), cuts)
def test_valid_answer_is_read_the_same_however_it_is_cut(drawn: tuple[bytes, int, bytes], at: list[int]) -> None:
    wire, status, body = drawn
    whole = outcome([wire])
    assert isinstance(whole, tuple)
    assert (whole[0], whole[3]) == (status, body)
    assert outcome(cut(wire, at)) == whole


@given(spoiled(), cuts)
def test_any_bytes_are_an_answer_or_broken_the_same_however_they_are_cut(wire: bytes, at: list[int]) -> None:
    assert outcome(cut(wire, at)) == outcome([wire] if wire else [])

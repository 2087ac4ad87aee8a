from __future__ import annotations

from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.framing import DONE, Lines, LineTooLongError, sse

PIECES = st.lists(st.lists(st.sampled_from([b"\n", b"a", b"\r", "\u0085".encode(), "\u2028".encode()])).map(b"".join))


def cut(*pieces: bytes, limit: int = 1000) -> list[bytes]:
    lines = Lines(limit)
    return [line for piece in pieces for line in lines.feed(piece)] + lines.close()


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ([], []),
        ([b""], []),
        ([b"a\nb\n"], [b"a", b"b"]),
        ([b"a\nb"], [b"a", b"b"]),
        ([b"a", b"b", b"\n", b"c\n"], [b"ab", b"c"]),
        ([b"a\n", b"", b"b\n"], [b"a", b"b"]),
        ([b"\n\n"], [b"", b""]),
        ([b"a\r\n"], [b"a\r"]),
        (["a\u0085b\u2028c\n".encode()], ["a\u0085b\u2028c".encode()]),
    ],
)
def test_lines_end_at_line_feeds_only(pieces: list[bytes], lines: list[bytes]) -> None:
    assert cut(*pieces) == lines


@given(PIECES)
def test_any_pieces_give_the_lines_of_the_whole(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    expected = whole.split(b"\n")
    assert cut(*pieces) == (expected if expected[-1] else expected[:-1])


def test_what_is_left_is_given_once() -> None:
    lines = Lines(10)
    assert lines.feed(b"a\nb") == [b"a"]
    assert lines.close() == [b"b"]
    assert lines.close() == []


@pytest.mark.parametrize(
    ("pieces", "before"),
    [
        ([b"aaaa"], []),
        ([b"aaaa\n"], []),
        ([b"aaa", b"a"], []),
        ([b"aaa", b"a\n"], []),
        ([b"aaa", b"a\nb\n"], []),
        ([b"a\nbbb\ncccc\nd\n"], [b"a", b"bbb"]),
        ([b"a\nbbb\ncccc"], [b"a", b"bbb"]),
        ([b"a", b"a\nbbbb\n"], [b"aa"]),
    ],
)
def test_a_line_over_the_limit_is_refused_with_those_before_it(pieces: list[bytes], before: list[bytes]) -> None:
    lines = Lines(3)
    *first, last = pieces
    for piece in first:
        lines.feed(piece)
    with pytest.raises(LineTooLongError) as refusal:
        lines.feed(last)
    assert refusal.value.before == before


@pytest.mark.parametrize(
    "pieces", [[b"aaa\nbbb\nccc"], [b"aaa", b"\nbbb", b"\nccc"], [b"a\nb\nc\nd\n"], [b"aa", b"a\nb"]]
)
def test_lines_within_the_limit_pass_however_many(pieces: list[bytes]) -> None:
    assert b"".join(cut(*pieces, limit=3)) == b"".join(pieces).replace(b"\n", b"")


@given(PIECES, st.integers(min_value=0, max_value=6))
def test_the_limit_holds_for_any_pieces(pieces: list[bytes], limit: int) -> None:
    within = all(len(line) <= limit for line in b"".join(pieces).split(b"\n"))
    with nullcontext() if within else pytest.raises(LineTooLongError):
        cut(*pieces, limit=limit)


def test_events_are_data_and_a_blank_line() -> None:
    assert sse(b'{"a":1}') == b'data: {"a":1}\n\n'
    assert sse(b"[DONE]") == DONE

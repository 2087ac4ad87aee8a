from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.ollama.native.surrogates import with_whole_characters

HIGH, LOW, MENDED = rb"\ud83d", rb"\uDE00", rb"\ufffd"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (rb'{"a":"\ud800"}', rb'{"a":"\ufffd"}'),
        (rb'{"a":"\uD83D and \uDE00"}', rb'{"a":"\ufffd and \ufffd"}'),
        (rb'{"a":"\ude00\ud83d\ude00\ud83d"}', rb'{"a":"\ufffd\ud83d\ude00\ufffd"}'),
        (rb'{"a":"\ud83d\ud83d\ude00\ude00"}', rb'{"a":"\ufffd\ud83d\ude00\ufffd"}'),
        (rb'{"a":"\\ud83d \ud83d"}', rb'{"a":"\\ud83d \ufffd"}'),
        (rb'{"a":"\\ud83d\ude00"}', rb'{"a":"\\ud83d\ufffd"}'),
        (rb'{"a":"\\\ud83d\ude00\\\ud83d"}', rb'{"a":"\\\ud83d\ude00\\\ufffd"}'),
        (rb'{"a":"\ud83d\u0041"}', rb'{"a":"\ufffd\u0041"}'),
        (rb'{"\ud83d":1}', rb'{"\ufffd":1}'),
        (LOW, MENDED),
    ],
)
def test_half_of_a_surrogate_pair_is_what_go_makes_of_it(written: bytes, read: bytes) -> None:
    assert with_whole_characters(written) == read


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b'{"a":"b"}',
        rb'{"a":"\ud83d\ude00"}',
        rb'{"a":"\\ud83d"}',
        rb'{"a":"\ud7ff\ue000"}',
        rb'{"a":"\ud8"}',
        rb'{"a":"\UD83D"}',
    ],
)
def test_what_has_no_half_is_the_same(data: bytes) -> None:
    assert with_whole_characters(data) is data


@pytest.mark.parametrize(("before", "mends"), [(499_999, True), (500_000, False)])
def test_halves_are_not_looked_for_among_more_escapes_than_a_text_has(before: int, mends: bool) -> None:
    data = rb"\n" * before + HIGH
    assert with_whole_characters(data) == (rb"\n" * before + MENDED if mends else data)


@pytest.mark.parametrize(("halves", "mends"), [(20_000, True), (20_001, False)])
def test_more_halves_than_a_text_has_are_left(halves: int, mends: bool) -> None:
    assert with_whole_characters(HIGH * halves) == (MENDED if mends else HIGH) * halves


_ESCAPE = re.compile(rb"\\(?:ud83d\\uDE00|(?P<half>ud83d|uDE00)|.)", re.DOTALL)


@given(
    st.lists(st.sampled_from([HIGH, LOW, HIGH + LOW, b"\\\\", b"\\n", rb"\u0041", b"ud83d", b"uDE00", b"x"])).map(
        b"".join
    )
)
def test_it_is_what_reading_escape_by_escape_gives(data: bytes) -> None:
    assert with_whole_characters(data) == _ESCAPE.sub(lambda one: MENDED if one["half"] else one[0], data)

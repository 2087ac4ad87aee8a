"""Go's spelling of JSON, times, durations and floats, and its words for what it cannot read."""

from __future__ import annotations

import math
from typing import Any

import pytest

from gateway.simulator import golang

ENCODED = [
    ("<b> & 'q' \"", b'"\\u003cb\\u003e \\u0026 \'q\' \\""'),
    ("a\u2028b\u2029c", b'"a\\u2028b\\u2029c"'),
    ("tab\tline\nreturn\r\x01", b'"tab\\tline\\nreturn\\r\\u0001"'),
    ("café 日本 🙂 \x85", '"café 日本 🙂 \x85"'.encode()),
    ({"b": 1, "a": [None, True, 1.5]}, b'{"b":1,"a":[null,true,1.5]}'),
]


@pytest.mark.parametrize(("value", "data"), ENCODED)
def test_json_is_written_as_go_writes_it(value: Any, data: bytes) -> None:
    assert golang.encode(value) == data


REFUSED = [
    (b"", "missing request body"),
    (b" \n", "missing request body"),
    (b"{", "unexpected EOF"),
    (b'{"a":', "unexpected EOF"),
    (b'{"a":"b', "unexpected EOF"),
    (b"[1,", "unexpected EOF"),
    (b"hello", "invalid character 'h' looking for beginning of value"),
    (b"{a:1}", "invalid character 'a' looking for beginning of object key string"),
    (b'{"a" 1}', "invalid character '1' after object key"),
    (b'{"a":1 "b":2}', "invalid character '\"' after object key:value pair"),
    (b"{'a':1}", "invalid character '\\'' looking for beginning of object key string"),
    (b'{"a":"\n"}', "invalid character '\\n' in string literal"),
    (b'{"a":NaN}', "invalid character 'N' looking for beginning of value"),
    (b'{"a":' + b"1" * 5000 + b"}", f"json: cannot unmarshal number {'1' * 5000} into Go value of type int64"),
]


@pytest.mark.parametrize(("body", "words"), REFUSED)
def test_what_is_no_json_is_refused_in_gos_words(body: bytes, words: str) -> None:
    with pytest.raises(golang.DecodeError) as error:
        golang.decode(body)
    assert str(error.value) == words


DECODED = [
    (b'{"a":1}trailing', {"a": 1}),
    (b" 5 ", 5),
    (b'"\xff"', "\ufffd"),
    (b"1.0", 1),
    (b"1.5e3", 1500),
    (b"-0.25", -0.25),
]


@pytest.mark.parametrize(("body", "value"), DECODED)
def test_the_first_value_of_a_body_is_read(body: bytes, value: Any) -> None:
    decoded = golang.decode(body)
    assert (decoded, type(decoded)) == (value, type(value))


TIMES = [
    (0, "1970-01-01T00:00:00Z"),
    (1_795_410_881_024_192_005, "2026-11-23T05:14:41.024192005Z"),
    (1_795_410_881_030_000_000, "2026-11-23T05:14:41.03Z"),
    (11_016_882_129_399_323_029, "2319-02-11T05:02:09.399323029Z"),
]


@pytest.mark.parametrize(("nanoseconds", "text"), TIMES)
def test_a_time_has_the_digits_it_needs(nanoseconds: int, text: str) -> None:
    assert golang.timestamp(nanoseconds) == text


DURATIONS = [
    ("0", 0),
    ("5m", 300),
    ("1h30m", 5400),
    ("1.5h", 5400),
    ("100ms", 0.1),
    ("-1m", -60),
    ("+2s", 2),
    (".5s", 0.5),
    ("3us", 3e-6),
    ("3µs", 3e-6),
    ("-0", 0),
]


@pytest.mark.parametrize(("text", "seconds"), DURATIONS)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert math.isclose(golang.parse_duration(text), seconds)


BAD_DURATIONS = [
    ("", 'time: invalid duration ""'),
    ("bogus", 'time: invalid duration "bogus"'),
    ("30", 'time: missing unit in duration "30"'),
    ("1h30", 'time: missing unit in duration "1h30"'),
    ("3 days", 'time: unknown unit " days" in duration "3 days"'),
    (".s", 'time: invalid duration ".s"'),
    ("-", 'time: invalid duration "-"'),
]


@pytest.mark.parametrize(("text", "words"), BAD_DURATIONS)
def test_what_is_no_duration_is_refused(text: str, words: str) -> None:
    with pytest.raises(golang.DecodeError) as error:
        golang.parse_duration(text)
    assert str(error.value) == words


FLOATS = [
    (0.0, b"0", b"0"),
    (1.0, b"1", b"1"),
    (-0.13212141, b"-0.13212141", b"-0.13212141394615173"),
    (0.093155034, b"0.093155034", b"0.09315503388643265"),
    (0.00079482544, b"0.00079482544", b"0.0007948254351504147"),
    (1e-06, b"0.000001", b"9.999999974752427e-7"),
    (2.5e-08, b"2.5e-8", b"2.5000000292152436e-8"),
    (0.1, b"0.1", b"0.10000000149011612"),
]


@pytest.mark.parametrize(("value", "short", "wide"), FLOATS)
def test_a_float_is_as_short_as_its_width_allows(value: float, short: bytes, wide: bytes) -> None:
    assert bytes(golang.float32_list([value])) == b"[" + short + b"]"
    assert bytes(golang.float64_list([value])) == b"[" + wide + b"]"

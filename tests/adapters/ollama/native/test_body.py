from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.errors import InvalidRequest
from adapters.ollama.native.body import LONGEST, decode_body
from tests.adapters.ollama.recorded import ROOT

# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"model":"x"}', "x"),
        (b'{"MODEL":"x"}', "x"),
        (b'{"model":"y","model":"x"}', "x"),
        (b'{"model":null}', None),
        (b'{"model": null }', None),
        (b"{}", None),
        (b'{"models":"x"}', None),
        (b'{"model":[1,{"a":null}]}', None),
        (b'{"model":{"a":1}}', None),
        (b'{"model":true}', True),
        (b'{"model":-1.5e1}', -15.0),
        (b'{"model":1e999}', None),
        (b'{"model":"\xff"}', None),
    ],
)
def test_a_field_is_read_as_go_reads_it(data: bytes, value: Any) -> None:
    body = decode_body(data)
    assert body.scalar("model") == value
    assert body.text("model") == body.name("model") == (value if isinstance(value, str) else "")


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        (b'{"a":{ "x" : [1] ,"X":null}}', {"x": b"[1]", "X": b"null"}),
        (b'{"a":{}}', {}),
        (b'{"a":[{}]}', None),
        (b'{"a":null}', None),
        (b"{}", None),
        (b'{"a":{"\xff":1}}', None),
    ],
)
def test_the_fields_of_a_field_are_as_they_are_written(data: bytes, fields: dict[str, bytes] | None) -> None:
    read = decode_body(data).fields("a")
    assert (None if read is None else {name: bytes(value) for name, value in read.items()}) == fields


@pytest.mark.parametrize(
    ("value", "is_empty"),
    [(b"[]", True), (b"[ \r\n\t]", True), (b"[0]", False), (b"{}", False), (b'""', False), (b"null", False)],
)
def test_an_empty_list_has_nothing_in_it_but_blanks(value: bytes, is_empty: bool) -> None:
    assert decode_body(b'{"a":%b}' % value).is_empty_list("a") is is_empty
    assert not decode_body(b"{}").is_empty_list("a")


@pytest.mark.parametrize(
    ("data", "has"), [(b'{"a":0}', True), (b'{"A":""}', True), (b'{"a":null}', False), (b"{}", False)]
)
def test_null_is_as_good_as_absent(data: bytes, has: bool) -> None:
    assert decode_body(data).has("a") is has


@pytest.mark.parametrize(
    ("spelled", "name"), [("ſtream", "stream"), ("toKens", "tokens"), ("ﬁles", "ﬁles"), ("Straße", "straße")]
)
def test_two_letters_beyond_ascii_are_as_good_as_theirs_and_no_others(spelled: str, name: str) -> None:
    assert decode_body(json.dumps({spelled: 1}).encode()).scalar(name) == 1


@pytest.mark.parametrize("data", [b"[1]", b'"x"', b"1", b"null", b"true", b' [{"model":"x"}]\n'])
def test_json_that_is_no_object_has_no_fields_and_is_left_to_a_host(data: bytes) -> None:
    body = decode_body(data)
    assert (body.scalar("model"), body.data) == (None, data)


def test_a_field_in_two_spellings_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="the field 'model' is given more than once") as refused:
        decode_body(b'{"model":"may","stream":true,"Model":"may not"}')
    assert refused.value.param == "model"


def test_a_null_after_a_value_is_no_value_to_the_host_either() -> None:
    assert decode_body(b'{"model":"may not", "model": null}').data == b'{"model":null}'


@pytest.mark.parametrize(
    "data", [b'{"model":"x"}', b' { "model" : "x" , "model" : "x" } ', b'{"options":{"seed":null}}']
)
def test_what_can_be_read_in_one_way_only_is_not_touched(data: bytes) -> None:
    assert decode_body(data).data is data


def test_half_of_a_surrogate_pair_is_what_go_makes_of_it() -> None:
    body = decode_body(rb'{"\ud83d":"\uDE00 \ud83d\ude00"}')
    assert body.data == rb'{"\ufffd":"\ufffd \ud83d\ude00"}'
    assert body.scalar("\ufffd") == "\ufffd \U0001f600"


# --- how much is read -------------------------------------------------------------------------------------------------


def many(count: int) -> bytes:
    return b"{%b}" % b",".join(b'"%05x":0' % number for number in range(count))


@pytest.mark.parametrize("length", [1000, 1001])
def test_a_name_has_no_more_characters_than_there_can_be(length: int) -> None:
    body = decode_body(json.dumps({"model": "é" * length}).encode())
    assert len(body.text("model")) == length
    if length == 1000:
        assert body.name("model") == "é" * length
    else:
        with pytest.raises(InvalidRequest, match="model has more than 1000 characters, which no name has") as refused:
            body.name("model")
        assert refused.value.param == "model"


@pytest.mark.parametrize(("zeros", "value"), [(998, 0.0), (999, None)])
def test_a_value_that_is_long_is_not_looked_at(zeros: int, value: float | None) -> None:
    assert decode_body(b'{"a":0.%b}' % (b"0" * zeros)).scalar("a") == value
    assert (decode_body(b'{"a":"%b"}' % (b"x" * zeros)).scalar("a") is None) is (value is None)


def test_an_object_has_no_more_fields_than_there_can_be() -> None:
    body = decode_body(b'{"a":%b}' % many(10_000))
    assert (body.scalar("a"), len(body.fields("a") or {})) == (None, 10_000)
    assert json.loads(decode_body(many(10_000)).with_fields({"00000": 1}))["00000"] == 1
    too_many = decode_body(b'{"a":%b}' % many(10_001))
    with pytest.raises(InvalidRequest, match="more than 10000 fields in one object, which no request has"):
        too_many.fields("a")
    with pytest.raises(InvalidRequest, match="more than 10000 fields"):
        decode_body(many(10_001))


@pytest.mark.parametrize(
    "data", [b'{"a":"%b"}', b'["%b"]', b'"%b"', b' {"MODEL":"x","a":"%b","model":"x"}', b'{"a":"%b']
)
def test_a_large_body_is_read_as_a_small_one(data: bytes) -> None:
    assert outcome(data % (b"x" * 100_000)) == outcome(data % b"x")


def outcome(data: bytes) -> tuple[bool, Any]:
    try:
        body = decode_body(data)
    except InvalidRequest as error:
        return False, error.message
    return body.data is data, body.scalar("model")


def test_a_long_name_of_a_field_is_kept_and_not_compared() -> None:
    data = json.dumps({"K" * 1001: 1, "k" * 1001: 2, "K" * 1000: 3}).encode()
    assert decode_body(data).data is data
    assert decode_body(data).scalar("k" * 1000) == 3


# --- changing ---------------------------------------------------------------------------------------------------------


def test_without_changes_it_is_the_same_bytes() -> None:
    data = b' {"model" : "x", "options": {"seed": 1}}'
    assert decode_body(data).with_fields({}) is data


def test_what_is_not_changed_stays_as_it_was_written() -> None:
    body = decode_body(b'{"Model": "x", "options": { "seed" : 1.0 }, "new": "\\u003c", "stream": false}')
    changed = body.with_fields({"model": "y", "keep_alive": "5m", "stream": True})
    assert changed == b'{"Model":"y","options":{ "seed" : 1.0 },"new":"\\u003c","stream":true,"keep_alive":"5m"}'


def _nested() -> list[Any]:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    return nested


@pytest.mark.parametrize("value", ["\ud800", 10**5000, _nested()], ids=["half a pair", "huge", "deep"])
def test_what_cannot_be_written_is_refused(value: object) -> None:
    with pytest.raises(InvalidRequest):
        decode_body(b"{}").with_fields({"model": value})


# --- refusing ---------------------------------------------------------------------------------------------------------


def test_malformed_bodies_are_refused_in_the_words_that_were_recorded() -> None:
    refusals = []
    for file in sorted(ROOT.glob("*/*.json")):
        exchange = json.loads(file.read_text())
        request, answer = exchange["request"], exchange["response"]
        if request["path"].startswith("/api/") and "blobs" not in request["path"] and answer["status"] == 400:
            body = request.get("body_text", None)
            refusals += [] if body is None else [(body, json.loads(answer["body"][0]["text"])["error"])]
    assert {text for _, text in refusals} > {"missing request body", "unexpected EOF"}
    for body, text in refusals:
        with pytest.raises(InvalidRequest) as refused:
            decode_body(body.encode())
        assert refused.value.message == text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "missing request body"),
        (b" \n", "EOF"),
        (b'{"a":"b', "unexpected EOF"),
        (b"[1", "unexpected EOF"),
        (b"hello", "invalid character 'h' looking for beginning of value"),
        (b"{}\xff", "the request body goes on after its JSON"),
        (b"[] 1", "the request body goes on after its JSON"),
        (b"\xef\xbb\xbf{}", "invalid character 'ï' looking for beginning of value"),
        (b"'", r"invalid character '\'' looking for beginning of value"),
        (b"{'a':1}", r"invalid character '\'' looking for beginning of object key string"),
        (b'{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        (b'{"a":}', "invalid character '}' looking for beginning of value"),
        (b'{"a":[1, x]}', "invalid character 'x' looking for beginning of value"),
        (b'{"a":[1,]}', "invalid character ']' looking for beginning of value"),
        (b'{"a":[1 2]}', "invalid character '2' after array element"),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b'{"a":1 "b":2}', """invalid character '"' after object key:value pair"""),
        (rb'{"a":"\x"}', "invalid character 'x' in string escape code"),
        (b'{"a":"b\nc"}', r"invalid character '\n' in the JSON of the body, byte 7"),
        (b'{"a":01}', "invalid character '1' in the JSON of the body, byte 6"),
        (rb'{"a":"\ud8zz"}', "invalid character 'z' in the JSON of the body, byte 11"),
        (rb'{"a":"\ud800",}', "invalid character '}' looking for beginning of object key string"),
        (rb'{"a":"\ud800"', "unexpected EOF"),
        (
            b'{"a":"' + rb"\ud800" * 30_000 + b'"}',
            "halves of surrogate pairs among too many escapes to be made whole; write each character whole",
        ),
        (b'{"a":' * 100_000, "exceeded max depth"),
        (b'{"\xff":1}', "the request body is no valid JSON: 'utf-8' codec can't decode byte 0xff in position 0"),
    ],
)
def test_a_refusal_says_what_is_wrong_as_go_does(data: bytes, message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        decode_body(data)
    assert refused.value.message.startswith(message)


@given(st.binary(max_size=40) | st.text(alphabet='{}[]":,\\ud8cf null1.e', max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(InvalidRequest):
        decode_body(data).with_fields({"model": "x"})


@given(
    st.dictionaries(
        st.sampled_from(["model", "name", "stream", "x"]),
        st.none() | st.booleans() | st.text(max_size=LONGEST // len(r"\ud83d\ude00") - 1) | st.lists(st.none()),
    )
)
def test_what_is_sent_on_is_what_was_read(fields: dict[str, Any]) -> None:
    body = decode_body(json.dumps(fields).encode())
    for name, value in json.loads(body.data).items():
        assert body.scalar(name) == (None if isinstance(value, list) else value)
        assert body.is_empty_list(name) is (value == [])

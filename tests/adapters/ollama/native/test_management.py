from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from adapters.errors import InvalidRequest
from adapters.ollama.native.management import (
    Copy,
    Create,
    Delete,
    Transfer,
    decode_copy,
    decode_create,
    decode_delete,
    decode_pull,
    decode_push,
    encode_delete,
)
from tests.adapters.ollama.recorded import Recording, recordings

DECODERS: dict[str, Callable[[bytes], Any]] = {
    "/api/pull": decode_pull,
    "/api/push": decode_push,
    "/api/create": decode_create,
    "/api/copy": decode_copy,
    "/api/delete": decode_delete,
}
RECORDED = [
    one
    for path in DECODERS
    for method in ("POST", "DELETE")
    for one in recordings(path, method)
    if "body" in one.request
]


def encode(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


# --- all of them ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exchange", RECORDED, ids=lambda exchange: exchange.name)
def test_recorded_requests_are_understood_and_sent_on_as_they_came(exchange: Recording) -> None:
    fields = exchange.request["body"]
    data = encode(**fields)
    asked = DECODERS[exchange.request["path"]](data)
    if isinstance(asked, Copy):
        assert (asked.source, asked.destination) == (fields.get("source", ""), fields["destination"])
    else:
        assert asked.model == fields.get("model", fields.get("name", ""))
    if isinstance(asked, Transfer):
        assert asked.stream is fields.get("stream", True)
        assert (asked.streamed == data) is asked.stream or "modelfile" in fields
    assert asked.body == data or "modelfile" in fields


@pytest.mark.parametrize("decode", DECODERS.values(), ids=DECODERS)
@pytest.mark.parametrize("data", [b"", b"{", b"hello", b'{"model":"x","MODEL":"y"}'])
def test_what_is_no_json_or_says_a_name_twice_is_refused(decode: Callable[[bytes], Any], data: bytes) -> None:
    with pytest.raises(InvalidRequest):
        decode(data)


@pytest.mark.parametrize("decode", DECODERS.values(), ids=DECODERS)
@pytest.mark.parametrize("data", [b"{}", b"[1]", encode(model=1, name=[], source={}, destination=2, stream="no")])
def test_what_a_host_judges_by_itself_is_left_to_it(decode: Callable[[bytes], Any], data: bytes) -> None:
    asked = decode(data)
    assert asked.body == data
    assert (asked.source, asked.destination) == ("", "") if isinstance(asked, Copy) else asked.model == ""
    assert not isinstance(asked, Transfer) or (asked.stream, asked.streamed) == (True, data)


@pytest.mark.parametrize("decode", [decode_pull, decode_push, decode_create, decode_delete])
@pytest.mark.parametrize(
    ("fields", "model"),
    [
        ({"model": "x"}, "x"),
        ({"name": "x"}, "x"),
        ({"model": "x", "name": "y"}, "x"),
        ({"model": "", "name": "x"}, "x"),
        ({"model": None, "name": "x"}, "x"),
        ({"Model": "x"}, "x"),
    ],
)
def test_the_model_is_named_by_todays_field_or_by_the_older_one(
    decode: Callable[[bytes], Any], fields: dict[str, Any], model: str
) -> None:
    assert decode(encode(**fields)).model == model


@pytest.mark.parametrize(
    ("decode", "field"),
    [
        *((decode, field) for decode in (decode_pull, decode_create, decode_delete) for field in ("model", "name")),
        (decode_create, "from"),
        (decode_copy, "source"),
        (decode_copy, "destination"),
    ],
)
def test_a_name_that_is_longer_than_any_is_refused(decode: Callable[[bytes], Any], field: str) -> None:
    with pytest.raises(InvalidRequest, match=f"{field} has more than 1000 characters, which no name has") as refused:
        decode(encode(**{field: "x" * 1001}))
    assert refused.value.param == field


# --- pull, push, create -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decode", [decode_pull, decode_push, decode_create])
@pytest.mark.parametrize(
    ("data", "stream", "streamed"),
    [
        (b'{ "model":"x" }', True, b'{ "model":"x" }'),
        (b'{ "stream":true }', True, b'{ "stream":true }'),
        (b'{"stream":null}', True, b'{"stream":null}'),
        (b'{ "Stream":false, "model":"x" }', False, b'{"Stream":true,"model":"x"}'),
    ],
)
def test_hosts_are_asked_for_progress_even_if_the_caller_wants_none(
    decode: Callable[[bytes], Transfer], data: bytes, stream: bool, streamed: bytes
) -> None:
    asked = decode(data)
    assert (asked.stream, asked.body, asked.streamed) == (stream, data, streamed)


@pytest.mark.parametrize(
    ("fields", "source", "blobs"),
    [
        ({"from": "x"}, "x", ()),
        ({"files": {"a": "sha256:1", "b": "sha256:2"}}, "", ("sha256:1", "sha256:2")),
        ({"from": "x", "adapters": {"a": "sha256:1"}}, "x", ("sha256:1",)),
        (
            {
                "files": {"a": "sha256:1"},
                "adapters": {"b": "sha256:2"},
                "draft_files": {"c": "sha256:3", "d": "sha256:1"},
            },
            "",
            ("sha256:1", "sha256:2", "sha256:3"),
        ),
        ({"from": 1, "files": ["sha256:1"], "adapters": {"a": 1, "b": None, "c": "x"}}, "", ("x",)),
        ({}, "", ()),
    ],
)
def test_what_a_model_is_made_of(fields: dict[str, Any], source: str, blobs: tuple[str, ...]) -> None:
    asked = decode_create(encode(**fields))
    assert (asked.source, asked.blobs, asked.ignored, asked.body) == (source, blobs, (), encode(**fields))


# --- legacy create ----------------------------------------------------------------------------------------------------


def test_a_modelfile_is_translated_and_the_rest_of_the_body_stays() -> None:
    data = b'{"name":"made","modelfile":"FROM tiny-chat\\nPARAMETER mirostat 1\\nSYSTEM hi","stream":false,"quantize":"q8_0"}'
    rest = (
        b'{"name":"made","modelfile":"FROM tiny-chat\\nPARAMETER mirostat 1\\nSYSTEM hi","stream":%b,"quantize":"q8_0",'
    )
    made = b'"from":"tiny-chat","system":"hi"}'
    assert decode_create(data) == Create(
        model="made",
        stream=False,
        body=rest % b"false" + made,
        streamed=rest % b"true" + made,
        source="tiny-chat",
        ignored=("modelfile.mirostat",),
    )


def test_the_files_of_a_modelfile_are_among_the_blobs() -> None:
    asked = decode_create(
        encode(model="made", modelfile="FROM @sha256:1\nADAPTER @sha256:2", draft_files={"d": "sha256:3"})
    )
    assert (asked.source, asked.blobs) == ("", ("sha256:1", "sha256:2", "sha256:3"))


@pytest.mark.parametrize("fields", [{"from": ""}, {"from": None, "files": {}}, {"files": None}])
def test_what_says_nothing_leaves_the_word_to_the_modelfile(fields: dict[str, Any]) -> None:
    asked = decode_create(encode(modelfile="FROM x", **fields))
    assert (asked.source, json.loads(asked.body)["from"]) == ("x", "x")


@pytest.mark.parametrize("fields", [{"from": "x"}, {"files": {"a": "sha256:1"}}, {"from": 1}, {"files": "x"}])
def test_a_modelfile_beside_todays_fields_is_passed_over_as_a_host_does(fields: dict[str, Any]) -> None:
    data = encode(modelfile="no Modelfile", **fields)
    asked = decode_create(data)
    assert asked.body == data


@pytest.mark.parametrize("modelfile", ["", None, 1])
def test_no_modelfile_is_left_to_a_host(modelfile: Any) -> None:
    data = encode(modelfile=modelfile)
    assert json.loads(decode_create(data).body) == json.loads(data)


def test_a_modelfile_that_cannot_be_translated_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="modelfile line 1: 'FRM' is no command") as refused:
        decode_create(encode(model="x", modelfile="FRM x"))
    assert refused.value.param == "modelfile"


@pytest.mark.parametrize("field", ["files", "adapters", "draft_files"])
def test_more_files_than_a_model_has_are_refused(field: str) -> None:
    with pytest.raises(InvalidRequest, match="more than 10000 fields in one object"):
        decode_create(encode(**{field: {f"{number:05}": "" for number in range(10_001)}}))


# --- copy and delete --------------------------------------------------------------------------------------------------


def test_a_copy_has_two_names() -> None:
    data = b'{ "source":"a", "destination":"b" }'
    assert decode_copy(data) == Copy(source="a", destination="b", body=data)


def test_a_delete_has_one() -> None:
    data = b'{ "name":"a" }'
    assert decode_delete(data) == Delete(model="a", body=data)


def test_a_host_is_asked_to_delete_as_a_caller_asks() -> None:
    call = encode_delete('a"b')
    assert (call.method, call.target) == ("DELETE", "/api/delete")
    assert decode_delete(call.body).model == 'a"b'
    assert call.headers == ((b"content-type", b"application/json"),)


@pytest.mark.parametrize("decode", [decode_pull, decode_delete])
def test_a_host_reads_no_name_that_was_not_read_here(decode: Callable[[bytes], Any]) -> None:
    asked = decode(b'{"model":"x", "model":null}')
    assert (asked.model, asked.body) == ("", b'{"model":null}')

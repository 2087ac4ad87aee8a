"""How much a request may be made of, before it is decoded."""

from __future__ import annotations

import json

import pytest

from adapters.errors import InvalidRequest
from adapters.openai.chat import decode_request
from adapters.openai.fields import MOST_COMMAS, MOST_CONTAINERS, decode_object

PARTS = ["{}", "{ }", '{"a":1}', "[]", "[ ]", '["a"]', "[1]", "[-1]", "[true]", "[false]", "[null]"]


@pytest.mark.parametrize("part", PARTS)
def test_a_body_of_very_many_parts_is_refused(part: str) -> None:
    body = f'{{"messages":[{",".join([part] * MOST_CONTAINERS)}]}}'.encode()
    with pytest.raises(InvalidRequest) as caught:
        decode_request(body)
    assert caught.value.message == (
        "The request body has more than 100,000 JSON objects and arrays. Send less in one request."
    )


@pytest.mark.parametrize("part", PARTS)
def test_a_body_of_many_parts_is_read(part: str) -> None:
    body = f'{{"messages":[{",".join([part] * (MOST_CONTAINERS - 2))}]}}'.encode()
    assert len(decode_object(body).array("messages") or ()) == MOST_CONTAINERS - 2


@pytest.mark.parametrize("nested", ["[" * 50 + "]" * 50, '{"a":' * 50 + "1" + "}" * 50])
def test_parts_within_parts_count(nested: str) -> None:
    with pytest.raises(InvalidRequest, match="more than 100,000"):
        decode_object(f'{{"messages":[{",".join([nested] * (MOST_CONTAINERS // 50))}]}}'.encode())


@pytest.mark.parametrize(
    "text", ["while (a[i]) { a[i] = b[j];\n}", json.dumps({"a": {"b": ["c"]}}), "{x[y]}", "{\n  [\n"], ids=repr
)
def test_what_stands_in_a_text_is_no_part(text: str) -> None:
    body = json.dumps({"model": text * MOST_CONTAINERS}).encode()
    assert body.count(b"{") + body.count(b"[") > MOST_CONTAINERS
    assert decode_object(body).string("model") == text * MOST_CONTAINERS


@pytest.mark.parametrize("part", ["1", "null", '"x"'])
def test_a_body_of_very_many_commas_is_refused(part: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode_object(f'{{"stop":[{",".join([part] * (MOST_COMMAS + 2))}]}}'.encode())
    assert caught.value.message == "The request body has more than 3,000,000 commas. Send less in one request."


def test_a_body_of_many_commas_is_read() -> None:
    body = f'{{"stop":[{",".join(["1"] * (MOST_COMMAS + 1))}]}}'.encode()
    assert len(decode_object(body).array("stop") or ()) == MOST_COMMAS + 1


def test_a_long_body_of_few_commas_is_read() -> None:
    assert decode_object(b'{"model":"%b"}' % (b"a" * MOST_COMMAS * 2)).string("model") == "a" * MOST_COMMAS * 2

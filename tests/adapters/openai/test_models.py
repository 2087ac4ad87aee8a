from __future__ import annotations

import json

import pytest
from msgspec.structs import replace
from openai.types import Model

from adapters.openai.models import ListedModel, encode_deleted, encode_model, encode_models

PLAIN = ListedModel(id="llama3.2:latest", created=1700000000, digests={"gpu-1": ""})
FULL = ListedModel(
    id="hf.co/a/b:Q4",
    created=1,
    digests={"gpu-2": "d1", "gpu-1": "d1"},
    loaded_on=("gpu-1",),
    size=7,
    context_length=8192,
    capabilities=frozenset({"tools", "completion", "vision"}),
)


def test_no_models_are_an_empty_list() -> None:
    assert encode_models([]) == b'{"object":"list","data":[]}'


def test_a_model_of_which_little_is_known() -> None:
    expected = (
        b'{"id":"llama3.2:latest","object":"model","created":1700000000,"owned_by":"library",'
        b'"hosts":["gpu-1"],"loaded_on":[]}'
    )
    assert encode_model(PLAIN) == expected
    assert encode_models([PLAIN]) == b'{"object":"list","data":[' + expected + b"]}"


def test_what_is_known_beyond_openais_fields() -> None:
    found = json.loads(encode_model(FULL))
    assert found == {
        "id": "hf.co/a/b:Q4",
        "object": "model",
        "created": 1,
        "owned_by": "a",
        "hosts": ["gpu-2", "gpu-1"],
        "loaded_on": ["gpu-1"],
        "digest": "d1",
        "size": 7,
        "context_length": 8192,
        "max_model_len": 8192,
        "capabilities": ["completion", "tools", "vision"],
    }
    Model.model_validate(found, strict=True)


@pytest.mark.parametrize(
    ("digests", "shown"),
    [
        ({"a": "1"}, {"digest": "1"}),
        ({"a": "1", "b": "1"}, {"digest": "1"}),
        ({"a": "1", "b": "2", "c": "1"}, {"digests": {"a": "1", "b": "2", "c": "1"}}),
        ({"a": "", "b": "2"}, {"digest": "2"}),
        ({"a": "1", "b": "2", "c": ""}, {"digests": {"a": "1", "b": "2"}}),
        ({"a": ""}, {}),
    ],
)
def test_weights_that_differ_from_host_to_host_are_shown(digests: dict[str, str], shown: dict[str, object]) -> None:
    found = json.loads(encode_model(replace(FULL, digests=digests)))
    assert {key: found[key] for key in ("digest", "digests") if key in found} == shown
    assert found["hosts"] == [*digests]


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("llama3.2", "library"),
        ("library/llama3.2:latest", "library"),
        ("Team/chat", "Team"),
        ("hf.co/org/model:Q4_K_M", "org"),
        ("registry.example:5000/team/chat:7b", "team"),
        ("/chat", "library"),
    ],
)
def test_a_model_is_owned_by_the_namespace_of_its_name(name: str, owner: str) -> None:
    assert json.loads(encode_model(ListedModel(id=name)))["owned_by"] == owner


def test_what_was_deleted_has_the_name_that_the_caller_gave_it() -> None:
    assert encode_deleted("Team/X:v1") == b'{"id":"Team/X:v1","object":"model","deleted":true}'

from __future__ import annotations

import json

import pytest
from openai.types import Model

from adapters.openai.models import ListedModel, encode_model, encode_models

PLAIN = ListedModel(id="llama3.2:latest", created=1700000000)
FULL = ListedModel(id="hf.co/a/b:Q4", created=1, context_length=8192)


def test_no_models_are_an_empty_list() -> None:
    assert encode_models([]) == b'{"object":"list","data":[]}'


def test_a_model() -> None:
    expected = b'{"id":"llama3.2:latest","object":"model","created":1700000000,"owned_by":"library"}'
    assert encode_model(PLAIN) == expected
    assert encode_models([PLAIN]) == b'{"object":"list","data":[' + expected + b"]}"


def test_what_is_known_beyond_openais_fields() -> None:
    found = json.loads(encode_model(FULL))
    assert found == {
        "id": "hf.co/a/b:Q4",
        "object": "model",
        "created": 1,
        "owned_by": "a",
        "context_length": 8192,
        "max_model_len": 8192,
    }
    Model.model_validate(found, strict=True)


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

"""Requests for vectors, as they go to a host."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapters.ollama.embed import encode_request
from adapters.types import EmbedRequest


def sent(model: str = "", **fields: Any) -> dict[str, Any]:
    """Return the body of the call for a request with these fields."""
    request = EmbedRequest(**{"model": "mine", "inputs": ("hello",), **fields})
    call = encode_request(request, model=model)
    assert (call.method, call.target) == ("POST", "/api/embed")
    assert call.headers == ((b"content-type", b"application/json"),)
    body: dict[str, Any] = json.loads(call.body)
    return body


def test_only_what_the_caller_said_is_sent_and_that_nothing_is_to_be_cut() -> None:
    assert sent() == {"model": "mine", "input": ["hello"], "truncate": False}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"inputs": ("",)}, {"input": [""]}),
        ({"inputs": ("hello", "", "café 日本語 🙂")}, {"input": ["hello", "", "café 日本語 🙂"]}),
        ({"truncate": True}, {"truncate": True}),
        ({"truncate": False}, {"truncate": False}),
        ({"dimensions": 8}, {"dimensions": 8}),
        ({"keep_alive": "10m"}, {"keep_alive": "10m"}),
        ({"keep_alive": 0}, {"keep_alive": 0}),
        ({"options": {"num_ctx": 2048, "a_new_option": 1}}, {"options": {"num_ctx": 2048, "a_new_option": 1}}),
        ({"options": {"num_ctx": 64, "typical_p": 1.0, "numa": False}}, {"options": {"num_ctx": 64}}),
    ],
)
def test_what_the_caller_said_is_sent(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert sent(**fields) == {"model": "mine", "input": ["hello"], "truncate": False, **expected}


def test_the_host_is_asked_by_its_own_name_of_the_model() -> None:
    assert sent("mine:latest")["model"] == "mine:latest"

"""Requests as callers write them, for the tests of decoding."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapters.errors import InvalidRequest
from adapters.openai.chat import decode_request
from adapters.types import ChatRequest, Message

HELLO = {"role": "user", "content": "hi"}


def decode(**fields: Any) -> ChatRequest:
    """Decode a short request with these fields, where `most_choices` may be; a field that is `...` is left out."""
    most_choices = fields.pop("most_choices", 1)
    body = {"model": "llama3.2", "messages": [HELLO], **fields}
    sent = json.dumps({name: value for name, value in body.items() if value is not ...}).encode()
    return decode_request(sent, most_choices=most_choices)


def decode_message(*messages: dict[str, Any]) -> Message:
    """Decode a conversation and return its last message."""
    return decode(messages=list(messages)).messages[-1]


def refusal(**fields: Any) -> tuple[str | None, str, str]:
    """Return param, code and message of the failure to decode a request with these fields."""
    with pytest.raises(InvalidRequest) as caught:
        decode(**fields)
    error = caught.value
    assert (error.status, error.type) == (400, "invalid_request_error")
    return error.param, error.code, error.message

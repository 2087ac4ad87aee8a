"""What hosts said when they refused to make vectors, of both versions, and what the caller is told."""

from __future__ import annotations

import json

import pytest

from adapters.errors import (
    ContextLengthExceeded,
    GatewayError,
    HostBroken,
    HostBusy,
    HostLacksModel,
    InvalidRequest,
    LacksCapability,
)
from adapters.ollama.calls import decode_refusal
from adapters.types import EmbedRequest
from tests.adapters.ollama.recorded import Recording, recordings

REQUEST = EmbedRequest(model="mine", inputs=("hello",))
REFUSALS = [one for one in recordings("/api/embed") if one.status != 200]

EXPECTED: dict[str, tuple[type[GatewayError], str | None]] = {
    "busy-embed": (HostBusy, None),
    "embed-chat-model": (LacksCapability, "model"),
    "embed-chat-model-new-engine": (LacksCapability, "model"),
    "embed-dimensions-text": (InvalidRequest, "dimensions"),
    "embed-error-empty-body": (InvalidRequest, None),
    "embed-error-malformed": (InvalidRequest, None),
    "embed-error-no-model": (HostLacksModel, None),
    "embed-error-unknown-model": (HostLacksModel, None),
    "embed-list-of-numbers": (InvalidRequest, None),
    "embed-nested-list": (InvalidRequest, None),
    "embed-number-input": (InvalidRequest, None),
    "embed-overflow-truncate-false": (ContextLengthExceeded, "input"),
    "embed-overflow-truncate-false-list": (ContextLengthExceeded, "input"),
}


@pytest.mark.parametrize("refusal", REFUSALS, ids=[refusal.name for refusal in REFUSALS])
def test_a_refusal_names_the_field_of_the_request(refusal: Recording) -> None:
    error = decode_refusal(REQUEST, refusal.status, refusal.body)

    assert (type(error), error.param) == EXPECTED[refusal.name.partition("/")[2]]


def test_an_input_that_is_too_long_is_called_an_input() -> None:
    refusal = next(one for one in REFUSALS if one.name == "0.33/embed-overflow-truncate-false")

    assert decode_refusal(REQUEST, refusal.status, refusal.body).message == (
        "The model's context is too short for the input. Shorten the input, raise `num_ctx`, or set `truncate` to true "
        "to drop what does not fit."
    )


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (400, "embedding contains NaN or Inf values"),
        (500, "failed to encode response: json: unsupported value: NaN"),
        (500, "json: unsupported value: +Inf"),
    ],
)
def test_what_is_no_number_is_the_hosts_fault_and_another_may_do(status: int, text: str) -> None:
    error = decode_refusal(REQUEST, status, json.dumps({"error": text}).encode())

    assert isinstance(error, HostBroken)
    assert error.elsewhere == "once"
    assert "no number (NaN) from the input" in error.message

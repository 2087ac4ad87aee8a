"""What hosts said when they refused to go on with a text, of both versions, and what the caller is told."""

from __future__ import annotations

import pytest

from adapters.errors import ContextLengthExceeded, GatewayError, HostLacksModel, InvalidRequest, LacksCapability
from adapters.ollama.calls import decode_refusal
from adapters.types import GenerateRequest
from tests.adapters.ollama.recorded import Recording, recordings

REFUSALS = [one for one in recordings("/api/generate") if one.status != 200 and "/generate-" in one.name]

EXPECTED: dict[str, tuple[type[GatewayError], str | None]] = {
    "generate-context-bad": (InvalidRequest, "context"),
    "generate-error-embedding-model": (LacksCapability, "model"),
    "generate-error-empty-body": (InvalidRequest, None),
    "generate-error-no-model": (HostLacksModel, None),
    "generate-error-prompt-list": (InvalidRequest, "prompt"),
    "generate-error-unknown-model": (HostLacksModel, None),
    "generate-format-unknown": (InvalidRequest, "format"),
    "generate-images": (InvalidRequest, "images"),
    "generate-jinja-suffix": (LacksCapability, "suffix"),
    "generate-overflow-truncate-false": (ContextLengthExceeded, "prompt"),
    "generate-raw-with-system": (InvalidRequest, None),
    "generate-suffix-not-supported": (LacksCapability, "suffix"),
    "generate-template-bad": (InvalidRequest, "template"),
    "generate-think-not-supported": (InvalidRequest, "think"),
    "generate-top-logprobs-21": (InvalidRequest, "logprobs"),
}


@pytest.mark.parametrize("refusal", REFUSALS, ids=[refusal.name for refusal in REFUSALS])
def test_a_refusal_names_the_field_of_a_completion(refusal: Recording) -> None:
    error = decode_refusal(GenerateRequest(model="mine", prompt="hi"), refusal.status, refusal.body)
    assert (type(error), error.param) == EXPECTED[refusal.name.split("/")[1]]
    assert "registry" not in error.message

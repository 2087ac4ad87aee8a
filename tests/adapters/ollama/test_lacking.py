"""What a host says a model cannot do, and what the caller is told then."""

from __future__ import annotations

import json

import pytest

from adapters.errors import InvalidRequest, LacksCapability
from adapters.ollama.errors import decode_error
from adapters.ollama.profile import lacking


@pytest.mark.parametrize(
    ("said", "capability", "code", "message"),
    [
        ("tools", "tools", "unsupported_parameter", 'The model "mine" cannot call tools'),
        ("insert", "insert", "unsupported_parameter", 'The model "mine" cannot fill in text before a suffix'),
        ("vision", "vision", "unsupported_value", 'The model "mine" cannot see images'),
        ("audio", "audio", "unsupported_value", 'The model "mine" cannot hear sound'),
        ("chat", "completion", "unsupported_value", 'The model "mine" cannot write text'),
        ("generate", "completion", "unsupported_value", 'The model "mine" cannot write text'),
        ("completion", "completion", "unsupported_value", 'The model "mine" cannot write text'),
        ("embedding", "embedding", "unsupported_value", 'The model "mine" cannot make embeddings'),
        ("embeddings", "embedding", "unsupported_value", 'The model "mine" cannot make embeddings'),
    ],
)
def test_what_a_model_lacks_is_told_with_the_models_that_have_it(
    said: str, capability: str, code: str, message: str
) -> None:
    text = f'"tiny" does not support {said}'
    error = decode_error(400, json.dumps({"error": text}).encode(), "mine")
    assert isinstance(error, LacksCapability)
    assert (error.capability, error.code) == (capability, code)
    completed = lacking(error, ["other"])
    assert completed.message == f"{message} (it lacks the capability '{capability}'). Models here that can: other."
    assert (completed.param, completed.detail) == (error.param, f"400: {text}")


@pytest.mark.parametrize(
    "text",
    [
        "x does not support thinking",
        "x does not support image generation",
        "Multimodal data provided, but model does not support multimodal requests.",
        "image input is not supported - hint: you may need to provide the mmproj",
        "audio input is not supported",
    ],
)
def test_where_no_other_model_would_do_or_the_capability_is_there_no_models_are_named(text: str) -> None:
    assert type(decode_error(400, json.dumps({"error": text}).encode(), "mine")) is InvalidRequest

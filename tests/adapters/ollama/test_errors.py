"""What a host says when it refuses: by text and status, of both versions, and whatever comes."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.errors import (
    BodyTooLarge,
    ContextLengthExceeded,
    Forbidden,
    GatewayError,
    HostBroken,
    HostBusy,
    HostLacksModel,
    HostRefused,
    HostTimeout,
    InvalidRequest,
    LacksCapability,
    ModelLoadFailed,
    ModelNotFound,
    OutOfMemory,
    RunnerCrashed,
    ToolCallCut,
)
from adapters.ollama.errors import decode_error
from tests.adapters.ollama.recorded import REFUSALS, Recording, recordings


class Expected(NamedTuple):
    error: type[GatewayError]
    param: str | None = None
    code: str | None = None


TOOLS = Expected(LacksCapability, "tools", "unsupported_parameter")
THINKING = Expected(InvalidRequest, "reasoning_effort", "unsupported_parameter")
THINK = Expected(InvalidRequest, "reasoning_effort", "invalid_value")
FORMAT = Expected(InvalidRequest, "response_format", "invalid_value")
IMAGES = Expected(InvalidRequest, "messages", "unsupported_value")
KEEP_ALIVE = Expected(InvalidRequest, "keep_alive", "invalid_value")
BASE64 = Expected(InvalidRequest, "messages", "invalid_value")
UNREADABLE = Expected(InvalidRequest, None, "invalid_value")
TOO_LONG = Expected(ContextLengthExceeded, "messages", "context_length_exceeded")
BUSY = Expected(HostBusy, None, "overloaded")
LACKS = Expected(HostLacksModel, None, "model_not_found")
CUT_CALL = Expected(ToolCallCut, None, "tool_call_cut")
UNLOADABLE = Expected(ModelLoadFailed, None, "model_load_failed")


def mistyped(param: str) -> Expected:
    return Expected(InvalidRequest, param, "invalid_type")


RECORDED = {
    "broken-runner-nostream": Expected(RunnerCrashed, None, "upstream_error"),
    "busy-chat": BUSY,
    "busy-chat-nostream": BUSY,
    "chat-content-parts": mistyped("messages.content"),
    "chat-error-bad-model-name": Expected(InvalidRequest, "model", "invalid_value"),
    "chat-error-cloud-model": Expected(Forbidden, None, "forbidden"),
    "chat-error-embedding-model": Expected(LacksCapability, "model", "unsupported_value"),
    "chat-error-empty-body": UNREADABLE,
    "chat-error-empty-model": Expected(InvalidRequest, "model", "invalid_value"),
    "chat-error-list-body": UNREADABLE,
    "chat-error-malformed": UNREADABLE,
    "chat-error-messages-list-of-text": mistyped("messages"),
    "chat-error-messages-text": mistyped("messages"),
    "chat-error-model-number": mistyped("model"),
    "chat-error-no-model": Expected(InvalidRequest, "model", "invalid_value"),
    "chat-error-not-json": UNREADABLE,
    "chat-error-stream-text": mistyped("stream"),
    "chat-error-unknown-model": LACKS,
    "chat-error-unknown-model-nostream": LACKS,
    "chat-format-bad-schema": FORMAT,
    "chat-format-number": FORMAT,
    "chat-format-unknown": FORMAT,
    "chat-format-unknown-stream": FORMAT,
    "chat-images-bad-base64": BASE64,
    "chat-images-data-url": BASE64,
    "chat-images-not-vision": IMAGES,
    "chat-images-url": BASE64,
    "chat-images-vision-label": IMAGES,
    "chat-jinja-assistant-twice-last": Expected(InvalidRequest, "messages", "invalid_value"),
    "chat-jinja-format-bad-schema": FORMAT,
    "chat-jinja-format-unknown": FORMAT,
    "chat-jinja-images": IMAGES,
    "chat-jinja-images-vision-label": IMAGES,
    "chat-jinja-num-ctx-overflow-default": TOO_LONG,
    "chat-jinja-num-ctx-overflow-truncate-false": TOO_LONG,
    "chat-jinja-think-not-supported": THINKING,
    "chat-jinja-tools-broken-nostream": CUT_CALL,
    "chat-jinja-tools-broken-stream": CUT_CALL,
    "chat-jinja-tools-cut-nostream": CUT_CALL,
    "chat-jinja-tools-logprobs": Expected(InvalidRequest, "logprobs", "unsupported_parameter"),
    "chat-keep-alive-bare-number-text": KEEP_ALIVE,
    "chat-keep-alive-bogus": KEEP_ALIVE,
    "chat-keep-alive-list": KEEP_ALIVE,
    "chat-keep-alive-text-minus-one": KEEP_ALIVE,
    "chat-logprobs-number": mistyped("logprobs"),
    "chat-num-ctx-overflow-no-shift": TOO_LONG,
    "chat-num-ctx-overflow-truncate-false": TOO_LONG,
    "chat-num-ctx-overflow-truncate-false-stream": TOO_LONG,
    "chat-options-not-object": mistyped("options"),
    "chat-options-stop-string": mistyped("options.stop"),
    "chat-options-wrong-type": mistyped("options.num_predict"),
    "chat-think-low-not-supported": THINKING,
    "chat-think-none": THINK,
    "chat-think-not-supported": THINKING,
    "chat-think-number": THINK,
    "chat-tools-arguments-as-text": BASE64,
    "chat-tools-bad-type": mistyped("tools"),
    "chat-tools-not-supported": TOOLS,
    "chat-top-logprobs-21": Expected(InvalidRequest, "top_logprobs", "invalid_value"),
    "chat-top-logprobs-negative": Expected(InvalidRequest, "top_logprobs", "invalid_value"),
    "chat-unloadable-nostream": UNLOADABLE,
    "chat-unloadable-stream": UNLOADABLE,
}


@pytest.mark.parametrize("refusal", REFUSALS, ids=[refusal.name for refusal in REFUSALS])
def test_a_recorded_refusal_of_a_chat_is_what_it_means(refusal: Recording) -> None:
    error = decode_error(refusal.status, refusal.body, "mine")
    assert Expected(type(error), error.param, error.code) == RECORDED[refusal.name.partition("/")[2]]


def test_every_expectation_is_of_a_recording() -> None:
    assert {refusal.name.partition("/")[2] for refusal in REFUSALS} == RECORDED.keys()


INFERENCE = [
    refusal
    for path in ("/api/chat", "/api/generate", "/api/embed", "/api/embeddings", "/api/show")
    for refusal in recordings(path)
    if refusal.status >= 400
]


@pytest.mark.parametrize("refusal", INFERENCE, ids=[refusal.name for refusal in INFERENCE])
def test_no_recorded_refusal_says_where_it_comes_from(refusal: Recording) -> None:
    error = decode_error(refusal.status, refusal.body, "mine")
    for secret in ("registry", "library/", "/usr/", "127.0.0.1", "tiny-plain", "tiny-native"):
        assert secret not in error.message


# --- texts that no recording has --------------------------------------------------------------------------------------

RUNNER_LOG = "llama-server process has terminated: exit status 1: "

TEXTS = [
    (400, "registry.example/library/x:latest does not support insert", Expected(LacksCapability, "suffix")),
    (400, "x does not support tools\ninsert", Expected(LacksCapability, "tools")),
    (400, "x does not support vision", Expected(LacksCapability, "messages")),
    (400, "x does not support audio", Expected(LacksCapability, "messages")),
    (
        500,
        "audio input is not supported - hint: you may need to provide the mmproj",
        Expected(InvalidRequest, "messages"),
    ),
    (
        400,
        "x does not support thinking. Pull the model again to get the latest version",
        Expected(InvalidRequest, "reasoning_effort"),
    ),
    (400, '"x" does not support generate', Expected(LacksCapability, "model")),
    (501, "This server does not support embeddings. Start it with `--embeddings`", Expected(LacksCapability, "model")),
    (400, "x does not support image generation", Expected(InvalidRequest, "model")),
    (400, "typical_p is no longer supported", Expected(InvalidRequest, "options.typical_p")),
    (400, "raw mode does not support template, system, or context", Expected(InvalidRequest)),
    (400, "something new", Expected(InvalidRequest)),
    (500, "the input length exceeds the context length", Expected(ContextLengthExceeded, "messages")),
    (
        500,
        "input (103 tokens) is too large to process. increase the physical batch size",
        Expected(ContextLengthExceeded, "messages"),
    ),
    (404, 'model "x" not found, try pulling it first', Expected(HostLacksModel)),
    (404, "model '' not found", Expected(HostLacksModel)),
    (500, "pull model manifest: file does not exist", Expected(ModelNotFound)),
    (500, "gpu-1, gpu-2: pull model manifest: file does not exist", Expected(ModelNotFound)),
    (500, "gpu-1: disk full; gpu-2: pull model manifest: file does not exist", Expected(HostBroken)),
    (500, "gpu-1: pull model manifest: file does not exist. It is done on gpu-2.", Expected(HostBroken)),
    (499, "request canceled", Expected(HostBroken)),
    (500, "model requires more system memory (26.3 GiB) than is available (12.1 GiB)", Expected(OutOfMemory)),
    (500, "unable to load full model on GPU", Expected(OutOfMemory)),
    (500, RUNNER_LOG + "error loading model: unable to allocate CUDA0 buffer", Expected(OutOfMemory)),
    (500, RUNNER_LOG + "cudaMalloc failed: out of memory", Expected(OutOfMemory)),
    (500, "llama-server reported out-of-memory during startup: x", Expected(OutOfMemory)),
    (500, "ErrorOutOfMemory", Expected(OutOfMemory)),
    (500, RUNNER_LOG + "error loading model: unknown model architecture: 'x'", Expected(ModelLoadFailed)),
    (500, "llama runner process has terminated: exit status 2", Expected(ModelLoadFailed)),
    (500, "timed out waiting for llama-server to start - progress 0.50 - ", Expected(ModelLoadFailed)),
    (500, "'llama3.2-vision' is no longer compatible with your version of Ollama", Expected(ModelLoadFailed)),
    (500, "x: this model may be incompatible with your version of Ollama.", Expected(ModelLoadFailed)),
    (500, "model runner has unexpectedly stopped, this may be due to resource limitations", Expected(RunnerCrashed)),
    (500, "llama-server process no longer running: exit status 1", Expected(RunnerCrashed)),
    (500, "error reading llama-server response: EOF", Expected(RunnerCrashed)),
    (503, "Server overloaded, please retry shortly (ref: 1a2b)", Expected(HostBusy)),
    (503, "Loading model", Expected(HostBusy)),
    (429, "you have reached your hourly usage limit", Expected(HostBusy)),
    (401, "unauthorized", Expected(HostRefused)),
    (502, 'Post "https://cloud.example/api/chat": dial tcp: lookup cloud.example: no such host', Expected(HostBroken)),
    (500, "something new", Expected(HostBroken)),
]

CUT = "unexpected end of JSON input"

QUOTING = [
    (
        500,
        "this model only supports one image while more than one image requested",
        Expected(InvalidRequest, "messages"),
    ),
    (400, "failed to parse grammar", Expected(InvalidRequest, "response_format")),
    (400, "invalid format: expected JSON, not {marker}", Expected(InvalidRequest, "response_format")),
    (500, "Value looks like object, but can't find closing '}' symbol: marker", Expected(InvalidRequest, "messages")),
    (500, f'llama-server returned invalid tool call arguments for "marker": {CUT}', Expected(ToolCallCut)),
    (500, f"error parsing tool call: raw='{{\nmarker', err={CUT}", Expected(ToolCallCut)),
    (500, f"error parsing tool call: raw='{'marker' * 9999}', err={CUT}", Expected(ToolCallCut)),
    (
        500,
        "llama-server returned invalid tool call arguments for \"marker\": invalid character 'm' after object key",
        Expected(HostBroken),
    ),
    (500, f"error parsing tool call: raw='{CUT} out of memory', err=invalid character 'm'", Expected(HostBroken)),
]


@pytest.mark.parametrize(
    ("status", "text", "expected"), TEXTS, ids=[f"{status} {text[:60]}" for status, text, _ in TEXTS]
)
def test_other_texts_are_what_they_mean(status: int, text: str, expected: Expected) -> None:
    error = decode_error(status, json.dumps({"error": text}).encode(), "mine")
    assert (type(error), error.param) == (expected.error, expected.param)
    assert text in error.detail


@pytest.mark.parametrize(
    ("status", "text", "expected"), QUOTING, ids=[f"{status} {text[:60]}" for status, text, _ in QUOTING]
)
def test_what_the_caller_or_the_model_wrote_does_not_go_to_the_log(status: int, text: str, expected: Expected) -> None:
    error = decode_error(status, json.dumps({"error": text}).encode(), "mine")
    assert (type(error), error.param) == (expected.error, expected.param)
    assert re.fullmatch(rf"{status}: \(a text of \d+ characters\)", error.detail)


def test_a_call_that_was_cut_is_not_tried_again() -> None:
    text = f'llama-server returned invalid tool call arguments for "x": {CUT}'
    error = decode_error(500, json.dumps({"error": text}).encode(), "mine")
    assert (error.retryable, error.elsewhere, error.fault) == (False, "never", "caller")
    assert "token limit" in error.message
    assert "`max_tokens`" in error.message


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (302, HostBroken),
        (400, InvalidRequest),
        (401, HostRefused),
        (403, HostRefused),
        (404, HostBroken),
        (405, HostBroken),
        (408, HostTimeout),
        (413, BodyTooLarge),
        (418, InvalidRequest),
        (429, HostBusy),
        (499, HostBroken),
        (500, HostBroken),
        (502, HostBroken),
        (503, HostBroken),
        (504, HostTimeout),
    ],
)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"404 page not found",
        b"<html>nginx</html>",
        b"\xff\xfe",
        b'{"error": 5}',
        b'{"error": ""}',
        b"[]",
        b"[" * 9999,
    ],
)
def test_the_status_decides_where_there_is_no_text_of_ollamas(
    status: int, body: bytes, expected: type[GatewayError]
) -> None:
    error = decode_error(status, body, "mine")
    assert type(error) is expected
    assert "nginx" not in error.message
    assert str(status) in error.detail


def test_a_sign_in_address_goes_to_the_log_only() -> None:
    body = b'{"error": "unauthorized", "signin_url": "https://cloud.example/connect?key=abc"}'
    error = decode_error(401, body, "mine")
    assert type(error) is HostRefused
    assert "cloud.example" not in error.message


def test_lengths_are_told_when_the_host_tells_them() -> None:
    refusal = next(one for one in REFUSALS if one.name == "0.33/chat-jinja-num-ctx-overflow-default")
    error = decode_error(refusal.status, refusal.body, "mine")
    assert error.message.startswith(
        "This model's maximum context length is 64 tokens. However, your messages resulted in 420 tokens."
    )


def test_a_refusal_is_unwrapped_however_deep() -> None:
    text = '"x" does not support thinking'
    for _ in range(5):
        text = json.dumps({"error": text})
    error = decode_error(400, text.encode(), "mine")
    assert (error.message, error.param) == ('The model "mine" does not support thinking.', "reasoning_effort")


def test_a_refusal_that_is_an_object_is_read() -> None:
    body = {"error": {"message": "request exceeds the available context size", "n_prompt_tokens": 9, "n_ctx": 8}}
    assert "8 tokens. However, your messages resulted in 9" in decode_error(400, json.dumps(body).encode(), "").message


def test_without_a_model_the_message_names_none() -> None:
    assert decode_error(400, b'{"error": "cloud is disabled"}', "").message == (
        "The model runs in Ollama's cloud, which is turned off on the host."
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("registry.example/library/x:latest is odd", "mine is odd"),
        ("see https://gpu-2.lan:11434/x?y=1 for it", "see (url) for it"),
        ("open /usr/share/ollama/x.gguf: no such file", "open (path): no such file"),
        (r"open C:\Users\me\x.gguf: no such file", "open (path): no such file"),
        ("dial tcp 10.0.0.7:11434: refused", "dial tcp (host): refused"),
        ("dial tcp [::1]:11434: refused", "dial tcp (host): refused"),
        ("lookup gpu-2.lan: no such host", "lookup (host): no such host"),
        ("gpu-2:11434 is down", "(host) is down"),
        ("two\n  lines", "two lines"),
        ("#/$defs/x/y is no type", "#/$defs/x/y is no type"),
        ("x" * 500, "x" * 378 + "…"),
    ],
)
def test_a_message_leaves_out_where_things_are(text: str, message: str) -> None:
    error = decode_error(400, json.dumps({"error": f"top_logprobs must be: {text}"}).encode(), "mine")
    assert error.message == f"The host refuses the request: top_logprobs must be: {message}"


def test_a_model_in_the_registry_is_not_named_when_the_caller_named_none() -> None:
    error = decode_error(400, b'{"error": "top_logprobs must be: a.example/b/c:d"}', "")
    assert error.message.endswith("must be: (model)")


@pytest.mark.parametrize(
    "text",
    [
        "lookup gpu-box on 10.0.0.1:53: no such host",
        "user@gpu-7 is odd",
        "gpu.corp is odd",
        "dial tcp fe80::1: refused",
        "box.example.co.uk is odd",
        "open /models: no such file",
        "library/x:latest is odd",
    ],
)
def test_of_a_text_that_no_rule_knows_the_caller_learns_the_status_and_the_log_the_words(text: str) -> None:
    error = decode_error(418, json.dumps({"error": text}).encode(), "mine")
    assert error.message == "The host refuses the request with status 418."
    assert error.detail == f"418: {text}"


def test_words_of_the_caller_are_not_taken_for_the_hosts() -> None:
    text = 'JSON schema conversion failed:\nUnrecognized schema: {"description":"server busy, out of memory"}'
    assert type(decode_error(400, json.dumps({"error": text}).encode(), "mine")) is InvalidRequest


def test_a_huge_text_is_cut() -> None:
    error = decode_error(400, json.dumps({"error": "a." * 1_000_000}).encode(), "mine")
    assert len(error.message) < 500
    assert len(error.detail) == len("400: ") + 300


@given(st.integers(min_value=100, max_value=599), st.binary(max_size=200))
def test_no_answer_makes_it_raise(status: int, body: bytes) -> None:
    assert isinstance(decode_error(status, body, "m"), GatewayError)


@given(st.integers(min_value=100, max_value=599), st.text(max_size=200), st.text(max_size=20))
def test_no_text_and_no_name_make_it_raise(status: int, text: str, model: str) -> None:
    body = json.dumps({"error": text}, ensure_ascii=False).encode(errors="replace")
    assert decode_error(status, body, model).message

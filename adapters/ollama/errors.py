"""What a host says when it refuses or fails, as errors of the gateway (wire.md 2 and 11.3).

Ollama's status alone is not to be believed: a mistake of the caller may come under 500, and everything that
llama-server refuses comes as JSON inside the error's text. So the text decides, by the table `_RULES`, and the status
only where no rule knows the text. `param` names what a caller of the OpenAI dialect sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import msgspec
from msgspec import Struct, structs

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


def decode_error(
    status: int, body: bytes, request_model: str, *, prompt: str = "messages", names: Mapping[str, str] | None = None
) -> GatewayError:
    """Return the error that a host's refusal means, with a message that names no host, path or registry.

    The beginning of the host's text goes to `detail`, unless it repeats what the caller or the model wrote.

    Args:
        status: The HTTP status; 500 for an error line within an answer, whose status is long gone.
        body: The whole body, JSON or not.
        request_model: The model as the caller named it; empty when there was none.
        prompt: The field of the caller's request that holds what the model reads.
        names: The caller's names of other fields that chats call otherwise, by their names there.
    """
    text = body.decode(errors="replace")
    refusal = _unwrap(text)
    for rule in _RULES:
        if found := re.search(rule.pattern, refusal.message, re.IGNORECASE):
            break
    else:
        rule, found = _by_status(status), None
    words = f"(a text of {len(refusal.message)} characters)" if rule.quotes else refusal.message or text
    known = {
        "model": f'The model "{request_model}"' if request_model else "The model",
        "said": _clean(refusal.message, request_model),
        "status": status,
        "prompt": prompt,
        "lengths": _lengths(refusal, prompt),
        **(found.groupdict() if found else {}),
    }
    param = rule.param.format_map(known) if rule.param else None
    if param and names:
        param = names.get(param, param)
    message, detail = rule.message.format_map(known), f"{status}: {words[:_DETAIL_LIMIT]}"
    if rule.capability:
        return LacksCapability(message, capability=rule.capability, param=param, code=rule.code, detail=detail)
    return rule.error(message, param=param, code=rule.code, detail=detail)


class _Rule(NamedTuple):
    """Which error a text means.

    `message` and `param` may use what `decode_error` knows and what the pattern found. `quotes` says that the text
    repeats what the caller or the model wrote, which has no place in a log. `capability` is what the model lacks.
    """

    pattern: str
    error: type[GatewayError]
    message: str
    param: str | None = None
    code: str | None = None
    quotes: bool = False
    capability: str = ""


def _lack(pattern: str, capability: str, words: str, param: str, code: str = "unsupported_value") -> _Rule:
    """Return the rule for a text that says what a model cannot do; its message goes on with the models that can."""
    message = f"{{model}} {words} (it lacks the capability {capability!r})."
    return _Rule(pattern, LacksCapability, message, param, code, capability=capability)


_REFUSES = "The host refuses the request: {said}"

_RULES = (
    # Texts that repeat what the caller wrote come first, so that no words within them are taken for the host's.
    _Rule(
        r"^invalid format:|invalid JSON schema in format|JSON schema conversion failed|failed to parse grammar",
        InvalidRequest,
        "The host cannot follow the JSON schema of the request: {said}",
        "response_format",
        quotes=True,
    ),
    _Rule(
        r"(invalid tool call arguments for |^error parsing tool call: )(?s:.*)unexpected end of JSON input$",
        ToolCallCut,
        "The answer ran into its token limit inside a call of a tool, or the model ended the call too soon. "
        "Raise `max_tokens`.",
        quotes=True,
    ),
    _Rule(
        r"invalid tool call arguments for |^error parsing tool call: ",
        HostBroken,
        "The model called a tool with arguments that are not JSON. Try again.",
        quotes=True,
    ),
    _Rule(r"^model ['\"].*['\"] not found", HostLacksModel, "{model} was not found."),
    # As the end of one host's words, or of those of several that say the same.
    _Rule(
        r"^[^;]*pull model manifest: file does not exist$",
        ModelNotFound,
        "What is to be pulled is not in the registry.",
    ),
    _lack(r"does not support tools", "tools", "cannot call tools", "tools", "unsupported_parameter"),
    _Rule(
        r"does not support thinking",
        InvalidRequest,
        "{model} does not support thinking.",
        "reasoning_effort",
        "unsupported_parameter",
    ),
    _lack(
        r"does not support insert", "insert", "cannot fill in text before a suffix", "suffix", "unsupported_parameter"
    ),
    _lack(r"does not support vision", "vision", "cannot see images", "messages"),
    _lack(r"does not support audio", "audio", "cannot hear sound", "messages"),
    _lack(r"does not support (chat|generate|completion)", "completion", "cannot write text", "model"),
    _lack(r"does not support embeddings?", "embedding", "cannot make embeddings", "model"),
    # The next two are a runner's words, also about a model that has the capability by Ollama's: it would be named among
    # those that can.
    _Rule(
        r"does not support multimodal|image input is not supported",
        InvalidRequest,
        "{model} does not take images.",
        "messages",
        "unsupported_value",
    ),
    _Rule(
        r"audio input is not supported", InvalidRequest, "{model} does not take audio.", "messages", "unsupported_value"
    ),
    _Rule(
        r"does not support image generation",
        InvalidRequest,
        "{model} does not support image generation.",
        "model",
        "unsupported_value",
    ),
    _Rule(r"^template: ", InvalidRequest, _REFUSES, "template", quotes=True),
    _Rule(r"^(model is required|invalid model name)", InvalidRequest, _REFUSES, "model"),
    _Rule(
        r"^option \"(?P<option>\w+)\" must be of",
        InvalidRequest,
        _REFUSES,
        "options.{option}",
        "invalid_type",
    ),
    _Rule(
        r"^(?P<option>\w+) is no longer supported",
        InvalidRequest,
        _REFUSES,
        "options.{option}",
        "unsupported_parameter",
    ),
    _Rule(r"^(invalid think value|think must be)", InvalidRequest, _REFUSES, "reasoning_effort"),
    _Rule(r"^time: |^unsupported type: ", InvalidRequest, _REFUSES, "keep_alive"),
    _Rule(r"^top_logprobs must be", InvalidRequest, _REFUSES, "top_logprobs"),
    _Rule(r"^logprobs is not supported", InvalidRequest, _REFUSES, "logprobs", "unsupported_parameter"),
    _Rule(
        r"^illegal base64 data|assistant messages at the end|^value looks like object|only supports one image",
        InvalidRequest,
        _REFUSES,
        "messages",
        quotes=True,
    ),
    _Rule(r"Go struct field \w+\.(?P<field>[\w.]+) of type", InvalidRequest, _REFUSES, "{field}", "invalid_type"),
    _Rule(
        r"exceeds the (available )?context|longer than the context|exceeds maximum context|too large to process",
        ContextLengthExceeded,
        "{lengths} Shorten the {prompt}, raise `num_ctx`, or set `truncate` to true to drop what does not fit.",
        "{prompt}",
    ),
    _Rule(
        r"contains NaN|unsupported value: [+-]?(NaN|Inf)",
        HostBroken,
        "The model computed something that is no number (NaN) from the {prompt}. Try again, or with another {prompt}.",
    ),
    _Rule(r"cloud is disabled", Forbidden, "{model} runs in Ollama's cloud, which is turned off on the host."),
    _Rule(r"^unauthorized", HostRefused, "The host is not signed in to Ollama's cloud. Its operator can sign it in."),
    _Rule(r"server busy|overloaded|^loading model", HostBusy, "The host is busy. Try again later."),
    _Rule(r"^request canceled|context canceled", HostBroken, "The host gave up the request. Try again."),
    _Rule(
        r"out.of.(device.)?memory|erroroutofmemory|malloc failed|(failed|unable) to allocate|allocation failed"
        r"|(not enough|insufficient) memory|more system memory|unable to load full model on gpu",
        OutOfMemory,
        "{model} does not fit into the host's memory. Try a smaller `num_ctx` or a smaller model, or try again later.",
    ),
    _Rule(
        r"(llama-server|llama runner) process has terminated|timed out waiting for (llama-server|llama runner)"
        r"|error (loading model|starting)|(unable|failed) to load model|startup failed|binary not found"
        r"|unsupported model|no longer compatible|may be incompatible|requires mlx",
        ModelLoadFailed,
        "{model} cannot be loaded by the host. Its operator finds the reason in the log.",
    ),
    _Rule(
        r"runner has unexpectedly stopped|encountered while running the model|no longer running|not responding"
        r"|reading llama-server|unexpected server status",
        RunnerCrashed,
        "The process that runs the model stopped before the answer was whole. Try again.",
    ),
)
"""Which error a text means, whatever its status; the first that matches."""

_STATUSES = {
    401: _Rule("", HostRefused, "The host asks for credentials that the gateway does not have."),
    403: _Rule("", HostRefused, "The host does not let the gateway in."),
    404: _Rule("", HostBroken, "The host does not answer as Ollama does."),
    405: _Rule("", HostBroken, "The host does not answer as Ollama does."),
    408: _Rule("", HostTimeout, "The host took too long."),
    413: _Rule("", BodyTooLarge, "The request is too large for the host."),
    429: _Rule("", HostBusy, "The host takes no more requests for now. Try again later."),
    499: _Rule("", HostBroken, "The host gave up the request. Try again."),
    504: _Rule("", HostTimeout, "The host took too long."),
}
"""Which error a status means when its text is unknown, or not Ollama's."""


def _by_status(status: int) -> _Rule:
    """Return the rule for a text that no rule knows. It may name a host in any spelling, so no caller is told it."""
    if status in _STATUSES:
        return _STATUSES[status]
    if 400 <= status < 500:
        return _Rule("", InvalidRequest, "The host refuses the request with status {status}.")
    return _Rule("", HostBroken, "The host failed to answer. Try again.")


# --- the host's own words ---------------------------------------------------------------------------------------------

_DETAIL_LIMIT = 300
"""Characters of a host's own words that go to the log."""

_SAID_LIMIT = 400
"""Characters of a host's own words that go to the caller."""

_TEXT_LIMIT = 16_384
"""Characters of a host's own words that are looked at, half of them at the end; Ollama adds up to 8192 of its runner's
log, or quotes a whole call of a tool before it says what is wrong with it.
"""


class _Refusal(Struct):
    """What llama-server says; Ollama itself gives the message only."""

    message: str
    n_prompt_tokens: int | None = None
    n_ctx: int | None = None


class _Body(Struct):
    error: str | _Refusal


_BODY = msgspec.json.Decoder(_Body)


def _unwrap(text: str) -> _Refusal:
    """Return what a body says, out of as many layers of JSON as it is in; an empty message when it is not JSON."""
    try:
        error = _BODY.decode(text).error
    except (msgspec.DecodeError, RecursionError):
        return _Refusal("")
    if isinstance(error, _Refusal):
        return structs.replace(error, message=_shorten(error.message))
    nested = _unwrap(error)
    return nested if nested.message else _Refusal(_shorten(error))


def _shorten(text: str) -> str:
    half = _TEXT_LIMIT // 2
    return text if len(text) <= _TEXT_LIMIT else f"{text[:half]}…{text[-half:]}"


def _lengths(refusal: _Refusal, prompt: str) -> str:
    if refusal.n_ctx is None or refusal.n_prompt_tokens is None:
        return f"The model's context is too short for the {prompt}."
    return (
        f"This model's maximum context length is {refusal.n_ctx} tokens. "
        f"However, your {prompt} resulted in {refusal.n_prompt_tokens} tokens."
    )


_PLACES = re.compile(
    r"(?P<url>\b[a-z][a-z0-9+.-]*://[^\s\"'`<>]+)"
    r"|(?P<model>\b[a-z0-9-]+(?:\.[a-z0-9-]+)+(?::\d+)?/[\w./:@-]+)"
    r"|(?P<path>(?<![\w.#/])(?:/[\w.@+~-]+){2,}|\b[a-z]:\\[^\s\"':]+)"
    r"|(?P<host>\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?|\[[0-9a-f:]*:[0-9a-f:.]*\](?::\d+)?|\b[a-z0-9-]+(?:\.[a-z0-9-]+)*"
    r"(?::\d{4,5}\b|\.(?:ai|arpa|com|dev|home|internal|io|lan|local|localdomain|net|org)\b))",
    re.IGNORECASE,
)
"""What looks like an address, a path, or a model's name with its registry."""


def _clean(text: str, model: str) -> str:
    """Return a host's words for the caller: without addresses and paths, and with the caller's name for the model."""
    text = " ".join(text.split())[: 2 * _SAID_LIMIT]
    said = _PLACES.sub(lambda found: (found["model"] and model) or f"({found.lastgroup})", text)
    return said if len(said) <= _SAID_LIMIT else said[:_SAID_LIMIT] + "…"

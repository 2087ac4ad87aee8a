"""Decoding of `POST /v1/chat/completions`: OpenAI's fields and the gateway's extensions (wire.md 4)."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from adapters.errors import InvalidRequest
from adapters.openai.extensions import Extensions, decode_extensions, decode_stop
from adapters.openai.fields import Fields, Ignored, decode_object, not_supported, shown, wrong_type
from adapters.openai.messages import decode_messages
from adapters.openai.response_format import decode_response_format
from adapters.openai.thinking import decode_reasoning
from adapters.openai.tools import decode_tools
from adapters.types import ChatRequest, Think

READ = frozenset(
    {"model", "messages", "stream", "stream_options", "n", "max_tokens", "max_completion_tokens", "temperature"}
    | {"top_p", "frequency_penalty", "presence_penalty", "seed", "stop", "logit_bias", "logprobs", "top_logprobs"}
    | {"response_format", "tools", "tool_choice", "parallel_tool_calls", "reasoning_effort", "reasoning"}
    | {"modalities", "user", "safety_identifier", "metadata", "store", "service_tier"}
)
"""OpenAI's fields that are read, if only to refuse some of their values.

Others of OpenAI's fields (`prediction`, `verbosity`, `prompt_cache_key`, `moderation`, …) have no effect and are named
as ignored, as are fields that nobody knows.
"""

REFUSED: dict[str, str] = {
    "functions": "Use 'tools', which has replaced it.",
    "function_call": "Use 'tool_choice', which has replaced it.",
    "audio": "Models that answer in sound are not served.",
    "web_search_options": "Models here do not search the web.",
}
"""Fields that ask for what cannot be had, with what to know or to do."""

MOST_STOPS = 4
"""How many stop texts OpenAI allows. `options.stop` takes any number."""


def decode_request(body: bytes) -> ChatRequest:
    """Decode a chat request.

    Raises:
        InvalidRequest: The body is not JSON, or a field is missing, malformed, out of range or not supported. Whatever
            the bytes, this is the only exception.
    """
    request = decode_object(body)
    ignored = Ignored()
    _refuse(request)
    model = request.required_text("model")
    messages = decode_messages(request, ignored)
    stream, include_usage = _decode_stream(request, ignored)
    extensions = decode_extensions(request, READ, ignored)
    options = _decode_sampling(request)
    options.update(extensions.options)
    logprobs, top_logprobs = _decode_logprobs(request)
    reasoning = decode_reasoning(request, ignored)
    form = decode_response_format(request, ignored)
    stop = _decode_stop(request, ignored)
    tools = decode_tools(request, ignored)
    _note_unmet_wishes(request, ignored)
    return ChatRequest(
        model=model,
        messages=messages,
        stream=stream,
        include_usage=include_usage,
        tools=tools,
        format=form if extensions.format is UNSET else extensions.format,
        think=reasoning if extensions.think is None else extensions.think,
        think_param=_name_think(request, reasoning, extensions),
        options=options,
        stop=stop if extensions.stop is None else extensions.stop,
        logprobs=logprobs,
        top_logprobs=top_logprobs,
        keep_alive=extensions.keep_alive,
        truncate=extensions.truncate,
        shift=extensions.shift,
        render_only=extensions.render_only,
        user=request.string("safety_identifier") or request.string("user"),
        metadata=_decode_metadata(request),
        ignored=ignored.paths(),
    )


def _refuse(request: Fields) -> None:
    """Refuse what cannot be honoured: leaving it out would change what the caller gets."""
    for name, value in request.items():
        if name in REFUSED and value is not None:
            raise not_supported(name, f"'{name}' is not supported. {REFUSED[name]}", code="unsupported_parameter")
    count = request.integer("n", least=1)
    if count is not None and count > 1:
        raise not_supported("n", "Only one choice per request is supported. Send the request several times.")
    bias = request.object("logit_bias")
    if bias is not None and bias.items():
        message = "'logit_bias' is not supported: hosts cannot favour or ban single tokens."
        raise not_supported("logit_bias", message, code="unsupported_parameter")
    for place, modality in enumerate(request.strings("modalities")):
        if modality != "text":
            raise not_supported(f"modalities[{place}]", "Only the modality 'text' is supported.")


def _decode_stream(request: Fields, ignored: Ignored) -> tuple[bool, bool]:
    """Return whether to stream, and whether to end the stream with its usage."""
    stream = request.boolean("stream") or False
    options = request.object("stream_options")
    if options is None:
        return stream, False
    include_usage = options.boolean("include_usage") or False
    obfuscation = options.boolean("include_obfuscation") or False
    if not stream:
        ignored.add("stream_options")
        return False, False
    if obfuscation:
        ignored.add("stream_options.include_obfuscation")
    for field in options.unknown(frozenset({"include_usage", "include_obfuscation"})):
        ignored.add(options.at(field))
    return True, include_usage


def _decode_sampling(request: Fields) -> dict[str, Any]:
    """Return the options that the caller gave by OpenAI's names, and only those: no default is ever sent."""
    tokens = request.integer("max_completion_tokens", least=1, most=2**63 - 1)
    older = request.integer("max_tokens", least=1, most=2**63 - 1)
    seed = request.integer("seed")
    options: dict[str, Any] = {
        "num_predict": older if tokens is None else tokens,
        "temperature": request.number("temperature", 0, 2),
        "top_p": request.number("top_p", 0, 1),
        "frequency_penalty": request.number("frequency_penalty", -2, 2),
        "presence_penalty": request.number("presence_penalty", -2, 2),
        "seed": None if seed is None else (seed + 2**63) % 2**64 - 2**63,
    }
    return {name: value for name, value in options.items() if value is not None}


def _name_think(request: Fields, reasoning: Think | None, extensions: Extensions) -> str:
    """Return the field that says how the model is to think; empty when none does."""
    if extensions.think is not None:
        return "think"
    if reasoning is None:
        return ""
    return "reasoning_effort" if request.get("reasoning") is None else "reasoning"


def _decode_stop(request: Fields, ignored: Ignored) -> tuple[str, ...]:
    value = request.get("stop")
    if value is None:
        return ()
    stop = decode_stop(value, "stop", ignored)
    if len(stop) > MOST_STOPS:
        message = (
            f"Invalid 'stop': array too long. Expected an array with maximum length {MOST_STOPS}, but got an array "
            f"with length {len(stop)} instead. 'options.stop' takes more."
        )
        raise InvalidRequest(message, param="stop", code="array_above_max_length")
    return stop


def _decode_logprobs(request: Fields) -> tuple[bool, int | None]:
    logprobs = request.boolean("logprobs") or False
    top_logprobs = request.integer("top_logprobs", least=0, most=20)
    if top_logprobs is not None and not logprobs:
        message = "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled."
        raise InvalidRequest(message, param="top_logprobs")
    return logprobs, top_logprobs


def _decode_metadata(request: Fields) -> dict[str, str] | None:
    metadata = request.object("metadata")
    if metadata is None:
        return None
    for name, value in metadata.items():
        if not isinstance(value, str):
            raise wrong_type(metadata.at(shown(name)), "a string", value)
    return dict(metadata.items())


def _note_unmet_wishes(request: Fields, ignored: Ignored) -> None:
    """Name fields whose given value, unlike their default, has no effect."""
    if request.boolean("store"):
        ignored.add("store")
    if request.string("service_tier") not in (None, "auto", "default"):
        ignored.add("service_tier")

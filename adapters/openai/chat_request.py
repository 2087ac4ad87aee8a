"""Decoding of `POST /v1/chat/completions`: OpenAI's fields and the gateway's extensions (wire.md 4)."""

from __future__ import annotations

from msgspec import UNSET
from msgspec.structs import replace

from adapters.errors import InvalidRequest
from adapters.openai.extensions import Extensions, decode_extensions
from adapters.openai.fields import Fields, Ignored, decode_object, not_supported, shown, wrong_type
from adapters.openai.messages import decode_messages
from adapters.openai.response_format import decode_response_format
from adapters.openai.sampling import decode_sampling, decode_stops, decode_streaming, move_seed, refuse_bias
from adapters.openai.thinking import decode_reasoning
from adapters.openai.tools import decode_tools
from adapters.types import ChatRequest, Think

READ = frozenset(
    {"model", "messages", "stream", "stream_options", "n", "max_tokens", "max_completion_tokens", "temperature"}
    | {"top_p", "frequency_penalty", "presence_penalty", "seed", "stop", "logit_bias", "logprobs", "top_logprobs"}
    | {"response_format", "tools", "tool_choice", "parallel_tool_calls", "functions", "function_call"}
    | {"reasoning_effort", "reasoning"}
    | {"modalities", "user", "safety_identifier", "metadata", "store", "service_tier"}
)
"""OpenAI's fields that are read, if only to refuse some of their values.

Others of OpenAI's fields (`prediction`, `verbosity`, `prompt_cache_key`, `moderation`, …) have no effect and are named
as ignored, as are fields that nobody knows.
"""

PLAIN = frozenset(
    {"model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature", "top_p"}
    | {"frequency_penalty", "presence_penalty", "seed"}
)
"""The fields of which most requests have some and no others. All the rest need not be looked for then."""

REFUSED: dict[str, str] = {
    "audio": "Models that answer in sound are not served.",
    "web_search_options": "Models here do not search the web.",
}
"""Fields that ask for what cannot be had, with what to know or to do."""


def decode_request(body: bytes, *, most_choices: int = 1) -> ChatRequest:
    """Decode a chat request.

    Args:
        body: The request's JSON.
        most_choices: The largest `n` that is allowed.

    Raises:
        InvalidRequest: The body is not JSON, or a field is missing, malformed, out of range or not supported. Whatever
            the bytes, this is the only exception.
    """
    request = decode_object(body)
    ignored = Ignored()
    model = request.required_text("model")
    messages = decode_messages(request, ignored)
    stream, include_usage = decode_streaming(request, ignored)
    plain = ChatRequest(
        model=model,
        messages=messages,
        stream=stream,
        include_usage=include_usage,
        options=decode_sampling(request),
        ignored=ignored.paths(),
    )
    return plain if request.has_only(PLAIN) else _decode_further(plain, request, ignored, most_choices)


def _decode_further(plain: ChatRequest, request: Fields, ignored: Ignored, most_choices: int) -> ChatRequest:
    """Return a request with all that it says beyond `PLAIN`."""
    _refuse(request)
    extensions = decode_extensions(request, READ, ignored)
    logprobs, top_logprobs = _decode_logprobs(request)
    reasoning = decode_reasoning(request, ignored)
    form, strict = decode_response_format(request, ignored)
    stop = decode_stops(request, ignored)
    tools = decode_tools(request, ignored)
    _note_unmet_wishes(request, ignored)
    return replace(
        plain,
        n=request.integer("n", least=1, most=most_choices) or 1,
        tools=tools.tools,
        tool_choice=tools.choice,
        parallel_tool_calls=tools.parallel,
        legacy_functions=tools.legacy,
        strict_format=strict and extensions.format is UNSET,
        format=form if extensions.format is UNSET else extensions.format,
        think=reasoning if extensions.think is None else extensions.think,
        think_param=_name_think(request, reasoning, extensions),
        options={**plain.options, **extensions.options},
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


def split_choices(request: ChatRequest) -> list[ChatRequest]:
    """Return a request for each choice that a request asks for; a seed grows by one from choice to choice."""
    return [move_seed(replace(request, n=1), place) for place in range(request.n)]


def _refuse(request: Fields) -> None:
    """Refuse what cannot be honoured: leaving it out would change what the caller gets."""
    for name, value in request.items():
        if name in REFUSED and value is not None:
            raise not_supported(name, f"'{name}' is not supported. {REFUSED[name]}", code="unsupported_parameter")
    refuse_bias(request)
    for place, modality in enumerate(request.strings("modalities")):
        if modality != "text":
            raise not_supported(f"modalities[{place}]", "Only the modality 'text' is supported.")


def _name_think(request: Fields, reasoning: Think | None, extensions: Extensions) -> str:
    """Return the field that says how the model is to think; empty when none does."""
    if extensions.think is not None:
        return "think"
    if reasoning is None:
        return ""
    return "reasoning_effort" if request.get("reasoning") is None else "reasoning"


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

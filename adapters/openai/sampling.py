"""Fields that chats and completions have alike: how the answer is sampled, when it ends, whether it is a stream."""

from __future__ import annotations

from typing import Any, TypeVar

from msgspec.structs import replace

from adapters.errors import InvalidRequest
from adapters.openai.extensions import decode_stop
from adapters.openai.fields import Fields, Ignored, not_supported
from adapters.types import TextRequest

TextRequestT = TypeVar("TextRequestT", bound=TextRequest)

MOST_STOPS = 4
"""How many stop texts OpenAI allows. `options.stop` takes any number."""


def decode_streaming(request: Fields, ignored: Ignored) -> tuple[bool, bool]:
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


_NUMBERS = {"temperature": (0, 2), "top_p": (0, 1), "frequency_penalty": (-2, 2), "presence_penalty": (-2, 2)}
_INTEGERS = frozenset({"max_completion_tokens", "max_tokens", "seed"})


def decode_sampling(request: Fields) -> dict[str, Any]:
    """Return the options that the caller gave by OpenAI's names, and only those: no default is ever sent."""
    options: dict[str, Any] = {
        name: number
        for name, _ in request.items()
        if name in _NUMBERS and (number := request.number(name, *_NUMBERS[name])) is not None
    }
    if not request.has_none(_INTEGERS):
        tokens = request.integer("max_completion_tokens", least=1, most=2**63 - 1)
        older = request.integer("max_tokens", least=1, most=2**63 - 1)
        seed = request.integer("seed", least=-(2**63), most=2**64 - 1)
        if tokens is not None or older is not None:
            options["num_predict"] = older if tokens is None else tokens
        if seed is not None:
            options["seed"] = _wrap_seed(seed)
    return options


def decode_stops(request: Fields, ignored: Ignored) -> tuple[str, ...]:
    """Read the field `stop`.

    Raises:
        InvalidRequest: It is neither a text nor a list of at most `MOST_STOPS` texts.
    """
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


def refuse_bias(request: Fields) -> None:
    """Refuse a `logit_bias` that asks for something.

    Raises:
        InvalidRequest: It does.
    """
    bias = request.object("logit_bias")
    if bias is not None and bias.items():
        message = "'logit_bias' is not supported: hosts cannot favour or ban single tokens."
        raise not_supported("logit_bias", message, code="unsupported_parameter")


def move_seed(request: TextRequestT, place: int) -> TextRequestT:
    """Return the request for one of several answers: a seed grows by one from answer to answer."""
    seed = request.options.get("seed")
    if seed is None:
        return request
    return replace(request, options={**request.options, "seed": _wrap_seed(seed + place)})


def _wrap_seed(seed: int) -> int:
    """Return a seed as hosts take it, a signed integer of 64 bits: one that is too large for it begins from below."""
    return (seed + 2**63) % 2**64 - 2**63

"""The dialect of `POST /v1/embeddings`: requests in, answers out (wire.md 6)."""

from __future__ import annotations

import struct
from binascii import b2a_base64
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from adapters.accounting import add
from adapters.errors import HostBroken, InvalidRequest
from adapters.openai.extensions import TEXT, decode_extensions
from adapters.openai.fields import Fields, Ignored, check_tokens, decode_object, is_all, missing, not_among, wrong_type
from adapters.openai.usage import ollama_object
from adapters.options import SAMPLING
from adapters.types import EmbedRequest, Event, Failure, Finish, Usage, Vectors

# --- the request ------------------------------------------------------------------------------------------------------

READ = frozenset({"model", "input", "encoding_format", "dimensions", "user"})
"""OpenAI's fields. All have an effect."""

MOST_INPUTS = 2048
"""How many inputs OpenAI takes in one request."""

MOST_TOKENS = 1_000_000
"""How many tokens a request may have altogether. OpenAI takes 300,000."""

FORMATS = ("float", "base64")

_EXTENSIONS = {name: TEXT[name] for name in ("keep_alive", "truncate")}

_FOR_TEXT = frozenset({"stop", *SAMPLING})
"""Options that say how text is made. They have no effect."""


class Tokens(Struct, frozen=True):
    """An input as tokens of one of OpenAI's encodings.

    Attributes:
        param: The field that they came in.
        ids: The tokens.
    """

    param: str
    ids: tuple[int, ...]


class EmbeddingsRequest(Struct, frozen=True, kw_only=True):
    """A request for vectors as its caller wrote it.

    Attributes:
        request: What is asked of a host; without inputs as long as these are tokens.
        tokens: The inputs, when the caller sent tokens instead of texts.
        base64: Whether each vector is wanted as base64 of its numbers, little-endian floats of 32 bits.
    """

    request: EmbedRequest
    tokens: tuple[Tokens, ...] = ()
    base64: bool = False


def decode_request(body: bytes) -> EmbeddingsRequest:
    """Decode a request for vectors.

    An empty text is taken, as OpenAI takes it when it stands alone: models have a vector for it.

    Raises:
        InvalidRequest: The body is not JSON, or a field is missing, malformed or out of range. Whatever the bytes, this
            is the only exception.
    """
    request = decode_object(body)
    ignored = Ignored()
    model = request.required_text("model")
    inputs, tokens = _decode_input(request)
    encoding = request.string("encoding_format")
    if encoding is not None and encoding not in FORMATS:
        raise not_among("encoding_format", encoding, FORMATS)
    extensions = decode_extensions(request, READ, ignored, _EXTENSIONS)
    _note_options_for_text(request, ignored)
    return EmbeddingsRequest(
        request=EmbedRequest(
            model=model,
            inputs=inputs,
            dimensions=request.integer("dimensions", least=1, most=2**31 - 1),
            options={name: value for name, value in extensions.options.items() if name not in SAMPLING},
            keep_alive=extensions.keep_alive,
            truncate=extensions.truncate,
            user=request.string("user"),
            ignored=ignored.paths(),
        ),
        tokens=tokens,
        base64=encoding == "base64",
    )


def _decode_input(request: Fields) -> tuple[tuple[str, ...], tuple[Tokens, ...]]:
    """Return the inputs, which are either all texts or all tokens."""
    match request.get("input"):
        case None:
            raise missing("input")
        case str() as text:
            return (text,), ()
        case []:
            message = "Invalid 'input': empty array. Expected an array with minimum length 1."
            raise InvalidRequest(message, param="input", code="empty_array")
        case [int(), *_] as items:
            _check_count(len(items), MOST_TOKENS, "tokens")
            if is_all(items, int):
                return (), (_decode_tokens(items, "input"),)
            raise _odd_one_out(items)
        case list() as items:
            _check_count(len(items), MOST_INPUTS, "inputs")
            if is_all(items, str):
                return tuple(items), ()
            if is_all(items, list):
                _check_count(sum(map(len, items)), MOST_TOKENS, "tokens")
                return (), tuple(_decode_tokens(ids, f"input[{place}]") for place, ids in enumerate(items))
            raise _odd_one_out(items)
        case other:
            raise wrong_type("input", "a string or an array", other)


def _check_count(count: int, most: int, what: str) -> None:
    if count > most:
        message = (
            f"Invalid 'input': array too long. Expected at most {most} {what} altogether, but got {count} instead. "
            "Send the inputs in several requests."
        )
        raise InvalidRequest(message, param="input", code="array_above_max_length")


def _odd_one_out(items: list[Any]) -> InvalidRequest:
    """Return the failure for an array that is neither all texts nor all tokens: what is not like its first item."""
    kind = type(items[0])
    if kind not in _EXPECTED:
        return wrong_type("input[0]", "a string or an integer", items[0])
    place, odd = next((place, item) for place, item in enumerate(items) if type(item) is not kind)
    return wrong_type(f"input[{place}]", _EXPECTED[kind], odd)


_EXPECTED: dict[type, str] = {str: "a string", int: "an integer", list: "an array of integers"}


def _decode_tokens(items: list[Any], path: str) -> Tokens:
    check_tokens(items, path)
    return Tokens(path, tuple(items))


def _note_options_for_text(request: Fields, ignored: Ignored) -> None:
    nested = request.object("ollama")
    places = (request, request.object("options"), nested, nested and nested.object("options"))
    for place in filter(None, places):
        for name, value in place.items():
            if name in _FOR_TEXT and value is not None:
                ignored.add(place.at(name))


# --- the answer -------------------------------------------------------------------------------------------------------

_encode = msgspec.json.Encoder().encode
_decode_numbers = msgspec.json.Decoder(list[float]).decode

_OPENINGS = tuple(b'{"object":"embedding","index":%d,"embedding":' % index for index in range(MOST_INPUTS))
_BEFORE = (_OPENINGS[0], *(b"}," + opening for opening in _OPENINGS[1:]))
"""What stands before each vector, by its index: the end of the object before it, and the beginning of its own."""


class AnswerEncoder:
    """Puts the vectors of an answer, or of the answers to all parts of a batch, into one list.

    One per request; not thread-safe.

    Args:
        model: The model as the caller named it.
        base64: Whether each vector becomes base64 of its numbers; else it stays the text that the host wrote.

    Attributes:
        usage: What all parts took together.
    """

    __slots__ = ("_base64", "_count", "_model", "_pieces", "_timings", "usage")

    def __init__(self, model: str, *, base64: bool) -> None:
        self.usage = Usage()
        self._model = model
        self._base64 = base64
        self._pieces: list[bytes | Raw] = [b'{"object":"list","data":[']
        self._count = 0
        self._timings: dict[str, int] = {}

    def feed(self, events: Sequence[Event]) -> None:
        """Take up the events of the next part, in the order of the inputs.

        Raises:
            GatewayError: One of the events is a failure, or a number does not fit into 32 bits.
        """
        for event in events:
            match event:
                case Vectors():
                    self._add(event.vectors)
                case Finish():
                    self.usage = add(self.usage, event.usage)
                    for name, value in event.timings.items():
                        self._timings[name] = self._timings.get(name, 0) + value
                case Failure():
                    raise event.error

    def encode(self) -> bytes:
        """Return the whole answer."""
        usage, prompt = self.usage, self.usage.prompt
        end: dict[str, Any] = {"model": self._model, "usage": {"prompt_tokens": prompt, "total_tokens": prompt}}
        if account := ollama_object(Finish(reason="stop", usage=usage, timings=self._timings)):
            end["ollama"] = account
        # An object's members without its opening brace continue the answer.
        return b"".join((*self._pieces, b"}],", _encode(end)[1:]))

    def _add(self, vectors: Sequence[Raw]) -> None:
        begin, self._count = self._count, self._count + len(vectors)
        pieces: list[bytes | Raw] = [b""] * (2 * len(vectors))
        pieces[0::2] = _BEFORE[begin : self._count]
        pieces[1::2] = map(_base64, vectors) if self._base64 else vectors
        self._pieces += pieces


def _base64(vector: Raw) -> bytes:
    """Return a vector as a JSON string, as the SDKs read it: base64 of little-endian floats of 32 bits.

    A host writes each number with as few digits as tell it from its neighbours. Read with 64 bits and rounded to 32 it
    is the host's own number again. That was tried with every one there is; only 7.038531e-26 becomes its neighbour.
    """
    try:
        numbers = _decode_numbers(vector)
        packed = struct.pack(f"<{len(numbers)}f", *numbers)
    except (msgspec.DecodeError, OverflowError) as error:
        raise HostBroken("The host's answer has vectors that cannot be read. Try again.", detail=str(error)) from error
    return b'"%b"' % b2a_base64(packed, newline=False)

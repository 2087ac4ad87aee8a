"""Vectors of texts from a host: `POST /api/embed` and its answer (wire.md 1.9)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

from adapters.errors import GatewayError, HostBroken, InvalidRequest
from adapters.ollama.errors import decode_error
from adapters.options import RETIRED
from adapters.types import Call, EmbedRequest, Event, Failure, Finish, KeepAlive, Usage, Vectors, json_call

# --- the request ------------------------------------------------------------------------------------------------------


class _SentEmbed(Struct, frozen=True, omit_defaults=True):
    model: str
    input: tuple[str, ...]
    truncate: bool
    dimensions: int | None = None
    options: dict[str, Any] = {}
    keep_alive: KeepAlive | None = None


def encode_request(request: EmbedRequest, *, model: str = "") -> Call:
    """Return the call that asks a host for vectors.

    `truncate` is always sent: Ollama cuts what does not fit when it is absent. One text goes as a list of one: the
    empty text, if it were not in a list, would only load the model.

    Args:
        request: What is asked.
        model: The host's name for the model; the request's when empty.
    """
    sent = _SentEmbed(
        model=model or request.model,
        input=request.inputs,
        truncate=bool(request.truncate),
        dimensions=request.dimensions,
        options={name: value for name, value in request.options.items() if name not in RETIRED},
        keep_alive=request.keep_alive,
    )
    return json_call("/api/embed", msgspec.json.encode(sent))


# --- the answer -------------------------------------------------------------------------------------------------------

_Count = Annotated[int, Meta(ge=0)]


class _Frame(Struct, gc=False, kw_only=True):
    """An answer without its vectors."""

    error: Any = None
    total_duration: _Count = 0
    load_duration: _Count = 0
    prompt_eval_count: _Count = 0


class _Whole(_Frame, gc=False, kw_only=True):
    """An answer."""

    embeddings: list[Raw] | None = None


class _Around(_Frame, gc=False, kw_only=True):
    """An answer with a number in the place of its vectors."""

    embeddings: int


_decode_whole = msgspec.json.Decoder(_Whole).decode
_decode_around = msgspec.json.Decoder(_Around).decode
_decode_vector = msgspec.json.Decoder(Annotated[list[float], Meta(min_length=1)]).decode

_TIMINGS = ("total_duration", "load_duration")

_CHARACTERS_PER_TOKEN = 4
"""For the estimate of a usage that the host does not give."""

_MOST_BYTES = 256 * 1024
"""The longest text of a vector: 16,384 numbers of 16 characters, which is more than a number of 32 bits takes."""


class VectorsDecoder:
    """Reads a host's answer to a request for vectors. Made for one answer.

    Nothing that a host sends makes it raise: what is no answer becomes a `Failure`.

    Args:
        inputs: How many texts there are; as many vectors must come.
        dimensions: How long each vector must be; None for the model's own length.
        characters: How long the texts are together, for an estimate of their tokens.
        model: The model as the caller named it, for errors.

    Attributes:
        finished: Whether the last event was a `Finish` or a `Failure`.
    """

    def __init__(self, *, inputs: int, dimensions: int | None = None, characters: int = 0, model: str = "") -> None:
        self.finished = False
        self._inputs = inputs
        self._dimensions = dimensions
        self._characters = characters
        self._model = model
        self._pieces: list[bytes] = []
        self._room = (inputs + 1) * _MOST_BYTES

    def feed(self, data: bytes) -> list[Event]:
        """Keep these bytes: the answer is one object, of which nothing is of use before its end."""
        if self.finished:
            return []
        self._pieces.append(data)
        self._room -= len(data)
        if self._room < 0:
            return self._fail(_unreadable("it is too large"))
        return []

    def close(self, *, framed: bool = True) -> list[Event]:
        """Return the vectors and the end.

        Args:
            framed: Whether HTTP says where the body ends. JSON says it too, so this only tells why a body is not whole.
        """
        if self.finished:
            return []
        body = b"".join(self._pieces)
        self._pieces.clear()
        try:
            frame, vectors = _cut(body) or _parse(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if not framed:
                return self._fail(HostBroken("The host closed the connection before the answer was whole."))
            return self._fail(_unreadable(f"{error}, in a body of {len(body)} bytes"))
        fault = self._find_fault(frame, vectors)
        if fault is not None:
            return self._fail(fault)
        self.finished = True
        timings = {name: value for name in _TIMINGS if (value := getattr(frame, name))}
        return [Vectors(tuple(vectors)), Finish(reason="stop", usage=self._usage(frame), timings=timings)]

    def _find_fault(self, frame: _Frame, vectors: list[Raw]) -> GatewayError | None:
        if frame.error is not None:
            body = msgspec.json.encode({"error": frame.error})
            return decode_error(500, body, self._model, prompt="input")
        if len(vectors) != self._inputs:
            return _unreadable(f"{len(vectors)} vectors for {self._inputs} inputs")
        wanted = self._dimensions
        # To count takes longer than all else that is done to an answer, and no model has vectors of two lengths. So
        # without a wish for one only the first and the last are compared.
        counted = vectors[:1] + vectors[-1:] if wanted is None else vectors
        lengths = {bytes(vector).count(b",") + 1 for vector in counted}
        if len(lengths) > 1:
            return _unreadable("its vectors are not of one length")
        if wanted is None:
            return None
        [length] = lengths
        if length < wanted:
            return InvalidRequest(
                f"The model's vectors have {length} dimensions, and `dimensions` is {wanted}. Ask for fewer.",
                param="dimensions",
            )
        if length > wanted:
            return HostBroken("The host's Ollama is older than 0.11.11 and does not cut vectors to `dimensions`.")
        return None

    def _usage(self, frame: _Frame) -> Usage:
        if frame.prompt_eval_count:
            return Usage(prompt=frame.prompt_eval_count)
        return Usage(prompt=-(-self._characters // _CHARACTERS_PER_TOKEN), estimated=True)

    def _fail(self, error: GatewayError) -> list[Event]:
        self.finished = True
        self._pieces.clear()
        return [Failure(error)]


def _unreadable(detail: str) -> HostBroken:
    """Return the error of what is no answer."""
    return HostBroken("The host's answer cannot be read, or is not whole. Try again.", detail=detail)


# --- the vectors ------------------------------------------------------------------------------------------------------


def _parse(body: bytes) -> tuple[_Frame, list[Raw]]:
    """Return an answer without its vectors, and the vectors, each number of which was read.

    Raises:
        DecodeError, UnicodeDecodeError, RecursionError: It is none.
    """
    whole = _decode_whole(body)
    vectors = whole.embeddings or []
    for vector in vectors:
        _decode_vector(vector)
    return whole, vectors


_BEGIN = b'"embeddings":[['
_END = b"]]"
_FOREIGN = b'"{aun'
"""An array without these, and without an array within, has nothing but numbers: a string begins with the first, an
object with the second, and each of `false`, `true` and `null` has one of the letters. So have `NaN` and `Infinity`,
which some servers take for JSON.
"""


def _cut(body: bytes) -> tuple[_Frame, list[Raw]] | None:
    """Return the same of an answer that is written as Go writes it, many times as fast; None of any other.

    A vector ends where the next one begins, and what is around the vectors is read. That they have nothing but numbers
    follows from what they do not have, as long as the body is JSON.

    Raises:
        DecodeError, UnicodeDecodeError, RecursionError: It is no answer.
    """
    begin, end = body.find(_BEGIN) + len(_BEGIN) - 1, body.rfind(_END)
    if not len(_BEGIN) <= begin < end or any(body.find(sign, begin, end) >= 0 for sign in _FOREIGN):
        return None
    view, vectors, place = memoryview(body), [], begin
    while place < end:
        following = body.find(b"[", place + 1, end)
        stop = end + 1 if following < 0 else following - 1
        if stop - place < len("[0]") or body[stop - 1 : stop + 1] not in (b"],", _END):
            return None
        vectors.append(Raw(view[place:stop]))
        place = stop + 1
    return _decode_around(b"0".join((view[: begin - 1], view[end + 2 :]))), vectors

"""Answers with vectors: the host's own numbers, as text or as base64."""

from __future__ import annotations

import json
import struct
from array import array
from base64 import b64decode
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from openai.types import CreateEmbeddingResponse

from adapters.errors import GatewayError, HostBroken
from adapters.ollama.embed import VectorsDecoder
from adapters.openai.embeddings import AnswerEncoder
from adapters.types import Delta, Event, Failure, Finish, Usage, Vectors
from gateway.simulator.golang import float32_list
from tests.adapters.ollama.recorded import recording

TIMINGS: dict[str, Any] = {"total_duration": 20, "load_duration": 3}


def vectors(*texts: bytes) -> Vectors:
    return Vectors(tuple(map(Raw, texts)))


def finish(prompt: int = 4, *, estimated: bool = False, **timings: int) -> Finish:
    return Finish(reason="stop", usage=Usage(prompt=prompt, estimated=estimated), timings=timings)


def encoded(*parts: Iterable[Event], base64: bool = False) -> bytes:
    encoder = AnswerEncoder("mine", base64=base64)
    for events in parts:
        encoder.feed(list(events))
    return encoder.encode()


def answer(*parts: Iterable[Event], base64: bool = False) -> dict[str, Any]:
    """Return an answer, judged by the SDK's type and by its keys."""
    found: dict[str, Any] = json.loads(encoded(*parts, base64=base64))
    if not base64:
        CreateEmbeddingResponse.model_validate(found, strict=True)
    assert found.keys() - {"ollama"} == {"object", "data", "model", "usage"}
    assert [each.keys() for each in found["data"]] == [{"object", "index", "embedding"}] * len(found["data"])
    return found


def singles(text: str) -> list[float]:
    """Return the numbers that a vector in base64 holds, as the SDK reads them with numpy."""
    return list(struct.unpack(f"<{len(text) * 3 // 16}f", b64decode(text, validate=True)))


def test_the_whole_of_an_answer() -> None:
    assert encoded([vectors(b"[1,-2.5e-7]", b"[0, 1.0]"), finish(**TIMINGS)]) == (
        b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1,-2.5e-7]},'
        b'{"object":"embedding","index":1,"embedding":[0, 1.0]}],"model":"mine",'
        b'"usage":{"prompt_tokens":4,"total_tokens":4},"ollama":{"total_duration":20,"load_duration":3}}'
    )


def test_the_whole_of_an_answer_in_base64() -> None:
    assert encoded([vectors(b"[1,-2.5e-7]", b"[0, 1.0]"), finish()], base64=True) == (
        b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":"AACAP703hrQ="},'
        b'{"object":"embedding","index":1,"embedding":"AAAAAAAAgD8="}],"model":"mine",'
        b'"usage":{"prompt_tokens":4,"total_tokens":4}}'
    )


@pytest.mark.parametrize("base64", [False, True])
def test_parts_of_a_batch_are_put_together_in_order(base64: bool) -> None:
    found = answer(
        [vectors(b"[1]", b"[2]"), finish(3, **TIMINGS)],
        [vectors(b"[3]"), finish(4, estimated=True, total_duration=5)],
        [vectors(b"[4]", b"[5]"), finish(5)],
        base64=base64,
    )

    assert [each["index"] for each in found["data"]] == [0, 1, 2, 3, 4]
    texts = [each["embedding"] for each in found["data"]]
    assert [singles(text) if base64 else text for text in texts] == [[1], [2], [3], [4], [5]]
    assert found["usage"] == {"prompt_tokens": 12, "total_tokens": 12}
    assert found["ollama"] == {"total_duration": 25, "load_duration": 3, "usage_estimated": True}


def test_what_all_parts_took_is_told() -> None:
    encoder = AnswerEncoder("mine", base64=False)
    encoder.feed([vectors(b"[1]"), finish(3)])
    encoder.feed([vectors(b"[2]"), finish(4)])

    assert encoder.usage == Usage(prompt=7)


def test_a_failure_is_raised() -> None:
    error = HostBroken("It broke.")

    with pytest.raises(GatewayError) as caught:
        encoded([Failure(error)])

    assert caught.value is error


def test_what_is_no_vector_is_passed_over() -> None:
    assert answer([Delta(text="hi"), vectors(b"[1]"), finish()])["data"][0]["embedding"] == [1]


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["0.24", "0.33"])
@pytest.mark.parametrize("base64", [False, True])
def test_the_numbers_of_an_answer_are_those_of_the_host(version: str, base64: bool) -> None:
    said = recording(f"{version}/embed-list").body
    decoder = VectorsDecoder(inputs=3)
    decoder.feed(said)
    found = answer(decoder.close(), base64=base64)

    theirs = json.loads(said)["embeddings"]
    ours = [each["embedding"] for each in found["data"]]
    assert ([singles(text) for text in ours] if base64 else ours) == (
        [list(array("f", vector)) for vector in theirs] if base64 else theirs
    )


OLLAMAS_OWN = "1koHvhLIvj0opBo+4BwePrS4NL7bhdE9yZsUPjHa/7wdQSu+ouz0PbfAEj6C4Z8+ila8vcLDO7747QA+Ne7UuwgkfD3f40A9HZ6BvjFSxb3hnzo+3lQfvtfUtr5u/cq+sX7GPUmPIL22+2Y+CImwPejwWb5ilG8+mHEyPlsJH74="
"""What a real Ollama 0.24 gives for "hello world" on its own `/v1/embeddings`, in base64."""


def test_base64_is_that_of_ollama_itself() -> None:
    decoder = VectorsDecoder(inputs=1)
    decoder.feed(recording("0.24/embed-string").body)

    assert answer(decoder.close(), base64=True)["data"][0]["embedding"] == OLLAMAS_OWN


@given(st.lists(st.floats(-(2.0**20), 2.0**20, width=32), min_size=1, max_size=50))
def test_every_number_that_a_host_can_write_comes_back(numbers: list[float]) -> None:
    written = bytes(float32_list(numbers))
    found = answer([vectors(written), finish()], base64=True)

    assert singles(found["data"][0]["embedding"]) == numbers


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1e-45", 2.0**-149),
        ("3.4028235e+38", (2 - 2**-23) * 2.0**127),
        ("1.1754944e-38", 2.0**-126),
        ("-0", -0.0),
        ("0.1", 13421773 / 2**27),
        ("1.00000006", 1 + 2.0**-23),
    ],
)
def test_numbers_at_the_edges_of_32_bits(text: str, number: float) -> None:
    [single] = singles(answer([vectors(b"[%b]" % text.encode()), finish()], base64=True)["data"][0]["embedding"])

    assert single == number


@pytest.mark.parametrize("text", [b"[1e39]", b"[-3.5e38]", b'["1"]', b"[null]", b"[1,,2]", b"[nan]", b"[1e999]"])
def test_what_is_no_number_of_32_bits_is_not_guessed(text: bytes) -> None:
    with pytest.raises(HostBroken, match="vectors that cannot be read"):
        encoded([vectors(text), finish()], base64=True)

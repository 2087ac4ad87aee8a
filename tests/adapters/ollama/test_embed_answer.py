"""Answers with vectors: every recorded one, and those that no Ollama gives."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Raw

from adapters.errors import HostBroken, InvalidRequest, OutOfMemory
from adapters.ollama.embed import VectorsDecoder
from adapters.types import Failure, Finish, Usage, Vectors
from tests.adapters.ollama.events import comparable, said
from tests.adapters.ollama.recorded import Recording, recordings

EMBEDS = [one for one in recordings("/api/embed") if one.status == 200]
FULL = [one for one in EMBEDS if json.loads(one.body)["embeddings"]]
EMPTY = [one for one in EMBEDS if not json.loads(one.body)["embeddings"]]

UNREADABLE = "The host's answer cannot be read, or is not whole. Try again."

every_answer = pytest.mark.parametrize("answer", FULL, ids=[one.name for one in FULL])


def decoded(*pieces: bytes, framed: bool = True, **arguments: Any) -> list[Any]:
    """Return the events of a body that comes in pieces."""
    decoder = VectorsDecoder(**{"inputs": 1, **arguments})
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return comparable([*events, *decoder.close(framed=framed)])


def inputs(answer: Recording) -> int:
    asked = answer.request["body"]["input"]
    return len(asked) if isinstance(asked, list) else 1


def body(embeddings: Any = ((1,),), **fields: Any) -> bytes:
    """Return an answer as Go writes it."""
    return json.dumps({"model": "m", "embeddings": embeddings, **fields}, separators=(",", ":")).encode()


def broken(detail: str) -> list[Any]:
    """Return the events of an answer that makes no sense."""
    return [(HostBroken, None, UNREADABLE, detail)]


# --- what hosts answer ------------------------------------------------------------------------------------------------


def test_the_recordings_are_there() -> None:
    assert (len(FULL), len(EMPTY)) == (27, 10)


@every_answer
def test_a_recorded_answer_comes_as_the_host_wrote_it(answer: Recording) -> None:
    said = json.loads(answer.body)
    vectors, finish = decoded(answer.body, inputs=inputs(answer))

    assert [json.loads(bytes(vector)) for vector in vectors.vectors] == said["embeddings"]
    assert b",".join(map(bytes, vectors.vectors)) in answer.body
    timings = {name: said[name] for name in ("total_duration", "load_duration")}
    assert finish == Finish(reason="stop", usage=Usage(prompt=said["prompt_eval_count"]), timings=timings)


@every_answer
def test_pieces_of_any_size_give_the_same(answer: Recording) -> None:
    whole = decoded(answer.body, inputs=inputs(answer))

    assert decoded(*(bytes([byte]) for byte in answer.body), inputs=inputs(answer)) == whole


@every_answer
def test_an_answer_cut_short_is_none(answer: Recording) -> None:
    for cut in range(len(answer.body)):
        [event] = decoded(answer.body[:cut], inputs=inputs(answer))
        assert event[0] is HostBroken


@pytest.mark.parametrize("answer", EMPTY, ids=[one.name for one in EMPTY])
def test_an_answer_without_vectors_is_none(answer: Recording) -> None:
    assert decoded(answer.body) == broken("0 vectors for 1 inputs")


def test_after_the_end_there_is_nothing() -> None:
    decoder = VectorsDecoder(inputs=1)
    events = [decoder.feed(body()), decoder.close(), decoder.feed(body()), decoder.close()]

    assert [len(each) for each in events] == [0, 2, 0, 0]
    assert decoder.finished


@pytest.mark.parametrize(
    ("characters", "usage"),
    [(9, Usage(prompt=3, estimated=True)), (0, Usage(prompt=0, estimated=True))],
)
def test_a_count_that_the_host_does_not_give_is_estimated(characters: int, usage: Usage) -> None:
    assert decoded(body(), characters=characters)[1] == Finish(reason="stop", usage=usage)


# --- dimensions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["0.24", "0.33"])
def test_vectors_have_the_length_that_was_asked_for(version: str) -> None:
    answer = next(one for one in FULL if one.name == f"{version}/embed-dimensions")

    vectors, _ = decoded(answer.body, dimensions=8)

    assert len(json.loads(bytes(vectors.vectors[0]))) == 8


@pytest.mark.parametrize("version", ["0.24", "0.33"])
def test_more_dimensions_than_the_model_has_are_refused(version: str) -> None:
    answer = next(one for one in FULL if one.name == f"{version}/embed-dimensions-too-many")

    message = "The model's vectors have 32 dimensions, and `dimensions` is 999. Ask for fewer."
    assert decoded(answer.body, dimensions=999) == [(InvalidRequest, "dimensions", message, "")]


def test_a_host_that_does_not_cut_vectors_is_not_believed() -> None:
    message = "The host's Ollama is older than 0.11.11 and does not cut vectors to `dimensions`."

    assert decoded(body([[1, 2, 3], [1, 2, 3]]), inputs=2, dimensions=2) == [(HostBroken, None, message, "")]


# --- what no host should answer ---------------------------------------------------------------------------------------


def test_an_error_within_an_answer_is_what_it_means() -> None:
    [event] = decoded(b'{"error":"model requires more system memory (9 GiB) than is available (5 GiB)"}', model="mine")

    assert event[0] is OutOfMemory
    assert '"mine"' in event[2]


@pytest.mark.parametrize("error", [{"code": 1}, [], 5, ""])
def test_an_error_of_another_kind_is_one_too(error: Any) -> None:
    [event] = decoded(body(error=error))

    assert event[0] is HostBroken


@pytest.mark.parametrize("count", [0, 1, 3])
def test_another_number_of_vectors_than_inputs_is_wrong(count: int) -> None:
    assert decoded(body([[1]] * count), inputs=2) == broken(f"{count} vectors for 2 inputs")


@pytest.mark.parametrize("dimensions", [None, 1, 2, 3])
@pytest.mark.parametrize("vectors", [[[1, 2], [3]], [[1], [2, 3]], [[0.5, 0.5], [0.5, 0.5, 0]]])
def test_vectors_of_unequal_length_are_the_hosts_fault(vectors: list[list[int]], dimensions: int | None) -> None:
    found = decoded(body(vectors), inputs=2, dimensions=dimensions)

    assert found == broken("its vectors are not of one length")


@pytest.mark.parametrize("said", [b"{}", b'{"embeddings":null}', b'{"model":"m","prompt_eval_count":3}'])
def test_an_answer_that_has_none_has_no_vectors(said: bytes) -> None:
    assert decoded(said) == broken("0 vectors for 1 inputs")


NONSENSE = [
    b"",
    b"   ",
    b"oops",
    b"[]",
    b'"embeddings":[[1]]',
    b'{"embeddings":[[1]]',
    b'{"embeddings":[[1]]}}',
    b'{"embeddings":[[1]]} {}',
    b'{"embeddings":[[1],]}',
    b'{"embeddings":[[1],2]}',
    b'{"embeddings":[2,[1]]}',
    b'{"embeddings":[[[1]]]}',
    b'{"embeddings":[[1,[2],[3]]]}',
    b'{"embeddings":[[]]}',
    b'{"embeddings":[[],[]]}',
    b'{"embeddings":[["1"]]}',
    b'{"embeddings":[[{}]]}',
    b'{"embeddings":[[null]]}',
    b'{"embeddings":[[true]]}',
    b'{"embeddings":[[1],[false]]}',
    b'{"embeddings":[[1],[NaN]]}',
    b'{"embeddings":[[1],[-Infinity]]}',
    b'{"embeddings":[[1]],"total_duration":-1}',
    b'{"embeddings":[[1]],"prompt_eval_count":"3"}',
    b'{"embeddings":{"0":[1]}}',
    b'{"data":{"embeddings":[[1]]}}',
    b'{"embeddings":' + b"[" * 100_000,
    b'{"note":' + b"[" * 100_000 + b"]" * 100_000 + b',"embeddings":[[1]]}',
]


@pytest.mark.parametrize("said", NONSENSE, ids=[repr(said[:50]) for said in NONSENSE])
def test_what_is_no_answer_is_not_taken_for_one(said: bytes) -> None:
    for count in (1, 2):
        [event] = decoded(said, inputs=count)
        assert event[:3] == (HostBroken, None, UNREADABLE)
        assert event[3]


def test_a_body_that_ends_with_its_connection_may_have_been_cut() -> None:
    message = "The host closed the connection before the answer was whole."

    assert decoded(body()[:-1], framed=False) == [(HostBroken, None, message, "")]
    assert isinstance(decoded(body(), framed=False)[0], Vectors)


def test_an_answer_without_end_is_given_up() -> None:
    decoder = VectorsDecoder(inputs=2)
    piece = b"1," * 32_768
    fed = 0
    while not decoder.finished:
        events = decoder.feed(piece)
        fed += len(piece)

    [event] = events
    assert isinstance(event, Failure)
    assert said(event.error) == (HostBroken, None, UNREADABLE, "it is too large")
    assert fed == 3 * 256 * 1024 + len(piece)
    assert decoder.close() == []


# --- other ways to write the same -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        b'{"embeddings": [[1, -2.5e-7], [0, 1]], "prompt_eval_count": 3}',
        b'{"embeddings":[[1,-2.5e-7],[0,1]],"prompt_eval_count":3}\n',
        b'{"embeddings":[\n[1,-2.5e-7],\n[0,1]\n],"prompt_eval_count":3}',
        b'{"prompt_eval_count":3,"embeddings":[[1,-2.5e-7],[0,1]]}',
        b'{"embeddings":[[1,-2.5e-7],[0,1]],"prompt_eval_count":3,"more":[[1]]}',
        b'{"model":"\\"embeddings\\":[[9]]","embeddings":[[1,-2.5e-7],[0,1]],"prompt_eval_count":3}',
        b'{"model":"a]],b[[","embeddings":[[1,-2.5e-7],[0,1]],"prompt_eval_count":3}',
        b'{"embeddings":[[9],[9]],"embeddings":[[1,-2.5e-7],[0,1]],"prompt_eval_count":3}',
    ],
)
def test_vectors_are_found_however_they_are_written(said: bytes) -> None:
    vectors, finish = decoded(said, inputs=2)

    assert [json.loads(bytes(vector)) for vector in vectors.vectors] == [[1, -2.5e-7], [0, 1]]
    assert finish.usage == Usage(prompt=3)


numbers = st.floats(allow_nan=False, allow_infinity=False, width=32) | st.integers(-9, 9)
words = st.none() | st.booleans() | st.text(max_size=3) | numbers
rows = st.lists(st.lists(numbers, max_size=3), max_size=3)
odd_rows = st.recursive(words, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner))


@given(
    embeddings=rows | odd_rows,
    before=st.dictionaries(st.sampled_from(["model", "a", '"embeddings":[[']), odd_rows, max_size=2),
    after=st.dictionaries(st.sampled_from(["prompt_eval_count", "b", "c"]), odd_rows, max_size=2),
)
@example(embeddings=[[0.0, 0.0], [0.0, 0.0, 0]], before={}, after={})
def test_the_fast_way_finds_what_the_thorough_one_finds(embeddings: Any, before: Any, after: Any) -> None:
    # Spaces after commas are all that keeps an answer from the fast way.
    whole = {**before, "embeddings": embeddings, **after}
    count = len(embeddings) if isinstance(embeddings, list) else 1
    fast = decoded(json.dumps(whole, separators=(",", ":")).encode(), inputs=count)
    thorough = decoded(json.dumps(whole, separators=(", ", ": ")).encode(), inputs=count)

    def judged(events: list[Any]) -> list[Any]:
        first = events[0]
        if isinstance(first, Vectors):
            return [[json.loads(bytes(vector)) for vector in first.vectors], *events[1:]]
        return [first[0]]

    assert judged(fast) == judged(thorough)


def test_vectors_are_equal_by_what_they_are() -> None:
    assert decoded(body([[1, 2]]))[0] == Vectors((Raw(b"[1,2]"),))

"""The host of the benchmarks, asked by the client that asks real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ollama
import pytest

from benchmarks.host import Script, words
from benchmarks.processes import LOOPBACK, host
from benchmarks.vectors import DIMENSIONS, INPUTS, texts

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def client() -> Iterator[ollama.Client]:
    with host([Script("one", 3), Script("other", 30)]) as port, ollama.Client(f"http://{LOOPBACK}:{port}") as client:
        yield client


@pytest.mark.parametrize(("model", "tokens"), [("one", 3), ("other", 30)])
def test_each_model_answers_with_its_tokens(client: ollama.Client, model: str, tokens: int) -> None:
    messages = [{"role": "user", "content": "hi"}]

    whole = client.chat(model, messages)
    stream = list(client.chat(model, messages, stream=True))

    assert whole.message.content == "".join(words(tokens))
    assert tuple(piece.message.content for piece in stream) == (*words(tokens), "")
    assert [piece.done for piece in stream] == [False] * tokens + [True]
    assert whole.eval_count == stream[-1].eval_count == tokens


@pytest.mark.parametrize("count", [0, 1, INPUTS])
def test_there_is_a_vector_for_each_text(client: ollama.Client, count: int) -> None:
    answer = client.embed("one", texts()[:count])

    assert [len(vector) for vector in answer.embeddings] == [DIMENSIONS] * count
    assert all(abs(sum(number**2 for number in vector) - 1) < 0.2 for vector in answer.embeddings)
    assert answer.prompt_eval_count == 64 * count


def test_it_says_what_it_has(client: ollama.Client) -> None:
    assert [model.model for model in client.list().models] == ["one", "other"]
    assert [model.model for model in client.ps().models] == ["one", "other"]
    assert "completion" in (client.show("one").capabilities or [])


def test_a_model_that_it_does_not_have_is_not_found(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError) as caught:
        client.chat("none", [])

    assert caught.value.status_code == 404

"""Vectors that depend on nothing but the text."""

from __future__ import annotations

import math

import pytest

from gateway.simulator.embedding import embed_text, normalize


def likeness(first: str, second: str) -> float:
    pairs = zip(embed_text(first, 64), embed_text(second, 64), strict=True)
    return sum(one * other for one, other in pairs)


@pytest.mark.parametrize("text", ["", "hello", "café 日本語 🙂", "a " * 1000, "\ud800"])
@pytest.mark.parametrize("dimensions", [1, 32, 64])
def test_a_vector_has_its_dimensions_and_length_one(text: str, dimensions: int) -> None:
    vector = embed_text(text, dimensions)
    assert len(vector) == dimensions
    assert math.isclose(math.hypot(*vector), 1)


def test_the_same_text_has_the_same_vector() -> None:
    assert embed_text("hello world", 64) == embed_text("hello world", 64)


def test_texts_that_share_words_are_nearer() -> None:
    assert (
        likeness("the cat sat on the mat", "a cat sat on a mat")
        > 0.5
        > likeness("the cat sat", "quarterly revenue grew")
    )


def test_nothing_stays_nothing() -> None:
    assert normalize([0.0, 0.0]) == [0.0, 0.0]

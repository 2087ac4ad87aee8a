"""From tokens to pieces: characters, stop texts, limits, repetition, constraints."""

from __future__ import annotations

import json
from itertools import repeat
from typing import Any

import pytest

from gateway.simulator import SimulatedModel, Token, tokens_of
from gateway.simulator.generation import Finish, Limits, Piece, constrain, generate, split_thoughts, token_text
from gateway.simulator.model import split_words


def said(texts: list[bytes], **limits: Any) -> tuple[list[str], Finish | None]:
    """Return the texts of the pieces that have one, and the finish."""
    steps = list(generate([Token(text) for text in texts], Limits(**limits)))
    pieces = [step.text for step in steps if isinstance(step, Piece) and step.text]
    return pieces, next((step for step in steps if isinstance(step, Finish)), None)


ABC = [b"a", b" b", b" c", b" d"]

CASES = [
    (ABC, {}, ["a", " b", " c", " d"], Finish("stop", 5)),
    ([], {}, [], Finish("stop", 1)),
    (ABC, {"tokens": 2}, ["a", " b"], Finish("length", 2)),
    (ABC, {"tokens": 4}, ["a", " b", " c", " d"], Finish("length", 4)),
    (ABC, {"stops": (" c",)}, ["a", " b"], Finish("stop", 3)),
    (ABC, {"stops": ("b c",)}, ["a", " "], Finish("stop", 3)),
    (ABC, {"stops": ("c x", "zzz")}, ["a", " b", " c d"], Finish("stop", 5)),
    (ABC, {"stops": (" d", " c")}, ["a", " b"], Finish("stop", 3)),
    (ABC, {"stops": ("d!",)}, ["a", " b", " c", " d"], Finish("stop", 5)),
    (ABC, {"stops": ("c!",), "tokens": 3}, ["a", " b", " c"], Finish("length", 3)),
    ([b"caf", b"\xc3", b"\xa9", b"!"], {}, ["caf", "é", "!"], Finish("stop", 5)),
    ([b"\xf0\x9f", b"\x99\x82"], {"tokens": 1}, [], Finish("length", 1)),
    ([b"a\xff", b"b"], {}, ["a\ufffd", "b"], Finish("stop", 3)),
]


@pytest.mark.parametrize(("tokens", "limits", "texts", "finish"), CASES)
def test_tokens_become_pieces(tokens: list[bytes], limits: dict[str, Any], texts: list[str], finish: Finish) -> None:
    assert said(tokens, **limits) == (texts, finish)


def test_thirty_repetitions_end_an_answer_without_a_finish() -> None:
    texts, finish = said([b"x", *[b" ha"] * 50])
    assert (texts, finish) == (["x", *[" ha"] * 31], None)


def test_repetition_can_be_allowed() -> None:
    texts, finish = said([b" ha"] * 50, repetition=False)
    assert (len(texts), finish) == (50, Finish("stop", 51))


def test_an_endless_answer_is_made_token_by_token() -> None:
    steps = generate(repeat(Token(b"x")), Limits(repetition=False))
    assert [next(steps) for _ in range(3)] == [Piece("x", (Token(b"x"),))] * 3


@pytest.mark.parametrize(("merge", "texts"), [(True, ["é"]), (False, ["\ufffd", "\ufffd"])])
def test_tokens_that_share_a_character_count_as_one_from_0_30_on(merge: bool, texts: list[str]) -> None:
    steps = list(generate([Token(b"\xc3", -1), Token(b"\xa9", -2)], Limits(merge=merge)))
    piece = steps[1]
    assert isinstance(piece, Piece)
    assert [token_text(token.text) for token in piece.tokens] == texts
    assert sum(token.logprob for token in piece.tokens) == -3


CITY = {"type": "object", "properties": {"city": {"type": "string"}, "n": {"type": "integer"}}}

HELD = [
    ("json", '{"a": 1}', '{"a": 1}'),
    ("json", "words", '{"simulated":"simulated"}'),
    ("json", "[1]", '{"simulated":"simulated"}'),
    (CITY, '{"city": "Rome", "n": 2}', '{"city": "Rome", "n": 2}'),
    (CITY, '{"n": 2, "city": "Rome"}', '{"city":"simulated","n":1}'),
    (CITY, "null", '{"city":"simulated","n":1}'),
    ({"type": "integer"}, "words", "1"),
]


@pytest.mark.parametrize(("form", "wanted", "got"), HELD)
def test_an_answer_is_held_to_a_format(form: Any, wanted: str, got: str) -> None:
    tokens = constrain(SimulatedModel(name="m"), tokens_of(wanted), form)
    assert b"".join(token.text for token in tokens).decode() == got


def test_a_model_without_a_filler_leaves_strings_empty() -> None:
    tokens = constrain(SimulatedModel(name="m", filler=()), tokens_of("words"), CITY)
    assert json.loads(b"".join(token.text for token in tokens)) == {"city": "", "n": 1}


def test_an_endless_answer_can_be_held_to_a_format() -> None:
    tokens = constrain(SimulatedModel(name="m"), repeat(Token(b"x")), {"type": "boolean"})
    assert b"".join(token.text for token in tokens) == b"true"


@pytest.mark.parametrize(
    ("text", "thoughts", "rest"),
    [
        ("<think>a</think>b", "<think>a</think>", "b"),
        ("no thoughts", "", "no thoughts"),
        ("<think>a</think>", "<think>a</think>", ""),
    ],
)
def test_thoughts_are_parted_from_the_rest(text: str, thoughts: str, rest: str) -> None:
    for tokens in (tokens_of(text), [Token(text.encode())], [Token(bytes([byte])) for byte in text.encode()]):
        parts = [b"".join(token.text for token in part).decode() for part in split_thoughts(tokens)]
        assert parts == [thoughts, rest]


@pytest.mark.parametrize("text", ["", "Hello, world!", "  two  spaces ", "café 日本語 🙂\n\n\ttab", "a_b <|x|> ---"])
def test_words_are_cut_without_loss(text: str) -> None:
    assert "".join(split_words(text)) == text

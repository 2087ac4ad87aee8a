"""From the tokens a model says to the pieces a runner hands out: whole characters, stop texts, limits, constraints."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Literal

from msgspec import Struct

from gateway.simulator import json_schema
from gateway.simulator.model import SimulatedModel, Token

_REPEATS = 30
"""After so many repetitions of one token Ollama gives a generation up (wire.md 1.5)."""

_LOOKAHEAD = 4096
"""How many tokens of an answer are looked at to see whether it is JSON by itself."""


class Piece(Struct, frozen=True):
    """What one token adds to an answer: often its text, nothing while a character or a stop text is not decided.

    Attributes:
        text: The new text.
        tokens: The tokens it is made of, for log probabilities.
    """

    text: str = ""
    tokens: tuple[Token, ...] = ()


class Finish(Struct, frozen=True):
    """The end of an answer.

    Attributes:
        reason: Why it ended.
        tokens: How many tokens were made, the one that ends an answer included.
    """

    reason: Literal["stop", "length"]
    tokens: int


class Limits(Struct, frozen=True, kw_only=True):
    """What ends an answer besides the model.

    Attributes:
        tokens: How many tokens it may have; None for no limit.
        stops: Texts that end it.
        repetition: Whether the same token over and over ends it, without any finish.
        merge: Whether tokens that share a character count as one in log probabilities (from 0.30 on).
    """

    tokens: int | None = None
    stops: tuple[str, ...] = ()
    repetition: bool = True
    merge: bool = True


def generate(tokens: Iterable[Token], limits: Limits) -> Iterator[Piece | Finish]:
    """Yield one piece a token and then the finish. A generation that repeats itself ends without one."""
    held = ""
    held_tokens: list[Token] = []
    count, repeats, previous = 0, 0, ""
    for count, (text, group) in enumerate(_characters(tokens, limits), 1):
        repeats = repeats + 1 if text and text.strip() == previous else 0
        previous = text.strip() if text else previous
        if limits.repetition and repeats > _REPEATS:
            return
        held += text
        held_tokens += group
        end = min((held.find(stop) for stop in limits.stops if stop in held), default=-1)
        if end >= 0:
            yield Piece(held[:end], tuple(held_tokens) if end else ())
            yield Finish("stop", count)
            return
        last = count == limits.tokens
        if held and (last or not any(_may_become(held, stop) for stop in limits.stops)):
            yield Piece(held, tuple(held_tokens))
            held, held_tokens = "", []
        else:
            yield Piece()
        if last:
            yield Finish("length", count)
            return
    yield Piece(held, tuple(held_tokens))
    yield Finish("stop", count + 1)


def _may_become(text: str, stop: str) -> bool:
    return any(text.endswith(stop[:length]) for length in range(1, len(stop)))


def _characters(tokens: Iterable[Token], limits: Limits) -> Iterator[tuple[str, list[Token]]]:
    """Yield, for each token, the whole characters that it completes and the tokens they came from."""
    rest = b""
    group: list[Token] = []
    for token in tokens:
        rest += token.text
        group.append(token)
        try:
            text = rest.decode()
        except UnicodeDecodeError as error:
            if error.reason == "unexpected end of data":
                yield "", []
                continue
            text = rest.decode("utf-8", "replace")
        yield text, [Token(rest, sum(each.logprob for each in group), token.ranked)] if limits.merge else group
        rest, group = b"", []


def token_text(data: bytes) -> str:
    """Return a token's text as its log probability shows it: each byte of a broken character as U+FFFD."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "".join(chr(byte) if byte < 128 else "\ufffd" for byte in data)


def constrain(model: SimulatedModel, tokens: Iterable[Token], form: Any) -> Iterable[Token]:
    """Hold an answer to a format: what the model says when that fits, else a small value made of its filler.

    Args:
        model: Whose answer it is.
        tokens: What it says, without its thoughts.
        form: `"json"` or a schema.
    """
    said = list(islice(tokens, _LOOKAHEAD))
    try:
        value = json.loads(b"".join(token.text for token in said))
    except ValueError:
        value = None
    fitting = isinstance(value, dict) if form == "json" else value is not None and json_schema.fits(value, form)
    return said if fitting else _forced(model, form)


def _forced(model: SimulatedModel, form: Any) -> list[Token]:
    """Spell a value that fits, character by character but for the filler's own tokens."""
    filler = b"".join(model.filler).decode()
    value = {filler: filler} if form == "json" else json_schema.instance(form, filler)
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    before, *others = text.split(filler) if filler else [text]
    spelled = [character.encode() for character in before]
    for part in others:
        spelled += [*model.filler, *(character.encode() for character in part)]
    return [Token(text) for text in spelled]


def split_thoughts(tokens: Iterable[Token]) -> tuple[list[Token], list[Token]]:
    """Part the tokens of a short answer into the thoughts with their tags, and the rest."""
    said = list(islice(tokens, _LOOKAHEAD))
    heard = b""
    for index, token in enumerate(said, 1):
        heard += token.text
        _, tag, rest = heard.partition(b"</think>")
        if tag:
            last = Token(token.text.removesuffix(rest))
            return [*said[: index - 1], last], [*([Token(rest)] if rest.strip() else []), *said[index:]]
    return [], said

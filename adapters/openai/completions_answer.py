"""Encoding of whole completions: one `text_completion` (wire.md 5)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import msgspec
from msgspec import Struct

from adapters import accounting
from adapters.errors import HostBroken, InvalidRequest
from adapters.openai.completions_request import Completion
from adapters.openai.usage import ollama_object, usage_object
from adapters.types import Delta, Event, Failure, Finish, TokenLogprob, Usage


class Head(Struct, frozen=True, kw_only=True):
    """What all pieces of one answer share.

    Attributes:
        id: The answer's unique id.
        created: Seconds since the epoch.
        model: The model as the caller named it.
        fingerprint: What answered, for `system_fingerprint`.
    """

    id: str
    created: int
    model: str
    fingerprint: str | None = None


class AnswerEncoder:
    """Folds the events of all answers that were made into a single `text_completion`.

    One per request; not thread-safe.

    Args:
        head: What the answer is.
        completion: What was asked for.
    """

    __slots__ = ("_completion", "_head", "_made")

    def __init__(self, head: Head, completion: Completion) -> None:
        self._head = head
        self._completion = completion
        self._made = [_Answer() for _ in range(len(completion.prompts) * completion.best_of)]

    def feed(self, events: Sequence[Event], index: int = 0) -> None:
        """Take up the next events of one of the answers. After a `Finish` nothing counts.

        Raises:
            GatewayError: One of the events is a failure.
        """
        self._made[index].feed(events)

    def encode(self) -> bytes:
        """Return the whole answer.

        Raises:
            HostBroken: One of the answers has no end.
            InvalidRequest: The best are wanted, and a host does not tell how likely its answer is.
        """
        completion = self._completion
        usage = total_usage([answer.end().usage for answer in self._made], completion)
        given = [
            (prompt, answer)
            for place, prompt in enumerate(completion.prompts)
            for answer in _best(self._made[place * completion.best_of :][: completion.best_of], completion.n)
        ]
        choices = [answer.encode(index, prompt, completion) for index, (prompt, answer) in enumerate(given)]
        body = {**shared(self._head), "choices": choices, "usage": usage_object(usage)}
        accounts = [ollama_object(answer.end()) for _, answer in given]
        if len(choices) == 1:
            choices = [body]  # what a host says of its work stands beside the only choice
        for place, account in zip(choices, accounts, strict=True):
            if account:
                place["ollama"] = account
        return msgspec.json.encode(body)


class _Answer:
    """One answer, as its events come."""

    __slots__ = ("_finish", "_text", "_thinking", "_tokens")

    def __init__(self) -> None:
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._tokens: list[TokenLogprob] = []
        self._finish: Finish | None = None

    def feed(self, events: Sequence[Event]) -> None:
        for event in events:
            if self._finish is not None:
                return
            if isinstance(event, Delta):
                self._text.append(event.text)
                self._thinking.append(event.thinking)
                self._tokens.extend(event.logprobs)
            elif isinstance(event, Failure):
                raise event.error
            else:
                assert isinstance(event, Finish)  # no text is answered with vectors
                self._finish = event

    def end(self) -> Finish:
        if self._finish is None:
            raise HostBroken("The model's answer broke off before its end.")
        return self._finish

    def likelihood(self) -> float:
        """Return the mean log probability of a token; an answer that says nothing is the least likely."""
        if self._tokens:
            return sum(token.logprob for token in self._tokens) / len(self._tokens)
        if any(self._text):
            message = "The best answers cannot be chosen: the host is too old to tell log probabilities. Leave it out."
            raise InvalidRequest(message, param="best_of", code="unsupported_parameter")
        return float("-inf")

    def encode(self, index: int, prompt: str, completion: Completion) -> dict[str, Any]:
        text = "".join(self._text)
        logprobs = None if completion.logprobs is None else TokenPlaces().logprobs_object(text, self._tokens)
        choice = {
            "text": prompt + text if completion.echo else text,
            "index": index,
            "logprobs": logprobs,
            "finish_reason": self.end().reason,
        }
        if thinking := "".join(self._thinking):
            choice["reasoning"] = thinking
        return choice


def _best(made: list[_Answer], n: int) -> list[_Answer]:
    """Return the `n` likeliest answers, the likeliest first; all in their order when there are no more."""
    return made if len(made) == n else sorted(made, key=_Answer.likelihood, reverse=True)[:n]


# --- what whole answers and streams share -----------------------------------------------------------------------------


def shared(head: Head) -> dict[str, Any]:
    """Return what stands in an answer, and in each chunk of a stream, whatever it says."""
    return {
        "id": head.id,
        "object": "text_completion",
        "created": head.created,
        "model": head.model,
        "system_fingerprint": head.fingerprint,
    }


def total_usage(usages: Sequence[Usage], completion: Completion) -> Usage:
    """Return what all answers took together, each prompt counted once.

    Args:
        usages: What each answer that was made took, in the order of `split_choices`.
        completion: What was asked for.
    """
    prompts = range(0, len(usages), completion.best_of)
    return reduce(accounting.add, (accounting.choices(usages[place:][: completion.best_of]) for place in prompts))


class TokenPlaces:
    """Tells where in the text of a choice each token begins, as text and tokens come. Made for one choice.

    A token whose spelling is not that of the text (a part of a character, or one that began within a thought) begins
    where the text is, and the next one that is found there sets it right.
    """

    __slots__ = ("_length",)

    def __init__(self) -> None:
        self._length = 0

    def logprobs_object(self, text: str, tokens: Sequence[TokenLogprob]) -> dict[str, Any] | None:
        """Return the object `logprobs` of a choice, or of a piece of it; None when the host told nothing.

        Args:
            text: The text, or its next piece.
            tokens: The tokens that it is made of.
        """
        offsets = []
        place, lost = 0, False
        for token in tokens:
            found = text.find(token.token, place)
            lost = found < 0 or (found > place and not lost)
            place = place if lost else found
            offsets.append(self._length + place)
            place += 0 if lost else len(token.token)
        self._length += len(text)
        if not tokens:
            return None
        return {
            "tokens": [token.token for token in tokens],
            "token_logprobs": [token.logprob for token in tokens],
            "top_logprobs": [_alternatives(token) for token in tokens],
            "text_offset": offsets,
        }


def _alternatives(token: TokenLogprob) -> dict[str, float]:
    """Return the likeliest tokens for a place, and the one that stands there, as OpenAI does."""
    return {**{other.token: other.logprob for other in token.top_logprobs}, token.token: token.logprob}

"""Thoughts that a host leaves in the text or the tokens of an answer, told from what is said (wire.md 1.7)."""

from __future__ import annotations

from enum import Enum, auto

from adapters.types import TokenLogprob

_OPENING = "<think>"
_CLOSING = "</think>"


class _Place(Enum):
    BEFORE = auto()  # what came may still become the opening tag
    OPENED = auto()  # white space after that tag
    THINKING = auto()
    CLOSED = auto()  # white space after the closing tag
    SAYING = auto()


class ThoughtSplitter:
    """Splits the thought off an answer that begins with one, as Ollama does where it takes answers apart itself.

    A thought stands between `<think>` and `</think>`; white space after a tag belongs to nothing. Where the model's
    template opens the thought, the answer has the closing tag only. It is then split in an answer that comes as one
    piece. In a stream the thought has been passed on as text before the tag tells what it was, so the tag is left in
    the text, where a reader sees it.

    Made for one answer.
    """

    __slots__ = ("_held", "_place")

    def __init__(self) -> None:
        self._place = _Place.BEFORE
        self._held = ""

    @property
    def done(self) -> bool:
        """Whether nothing is held back, and all that follows is said."""
        return self._place is _Place.SAYING

    def split(self, text: str, *, last: bool = False) -> tuple[str, str]:
        """Return what is surely thought, and what is surely said, of a piece and of what was held back before it.

        Args:
            text: The piece.
            last: Whether there is no more text.
        """
        text, self._held = self._held + text, ""
        thinking = ""
        if self._place is _Place.BEFORE:
            begin = text.lstrip()
            if begin.startswith(_OPENING):
                self._place, text = _Place.OPENED, begin.removeprefix(_OPENING)
            elif last and _CLOSING in text:
                self._place = _Place.OPENED
            elif last or not _OPENING.startswith(begin):
                self._place = _Place.SAYING
            else:
                text, self._held = "", text
        if self._place is _Place.OPENED:
            text = text.lstrip()
            if text:
                self._place = _Place.THINKING
        if self._place is _Place.THINKING:
            thinking, tag, text = text.partition(_CLOSING)
            if tag:
                self._place = _Place.CLOSED
            elif not last:
                sure = len(thinking) - _begun(thinking)
                thinking, self._held = thinking[:sure], thinking[sure:]
        if self._place is _Place.CLOSED:
            text = text.lstrip()
            if text:
                self._place = _Place.SAYING
        return thinking, text


def _begun(text: str) -> int:
    """Return how many characters at the end of a text may be the beginning of the closing tag."""
    return next((length for length in range(len(_CLOSING) - 1, 0, -1) if text.endswith(_CLOSING[:length])), 0)


class SaidTokens:
    """Keeps the tokens of what is said, and leaves out those of thoughts and their tags. Made for one answer."""

    __slots__ = ("_held", "_thought")

    def __init__(self) -> None:
        self._held: tuple[TokenLogprob, ...] = ()
        self._thought = False

    def add(self, tokens: tuple[TokenLogprob, ...], thinking: str, text: str) -> tuple[TokenLogprob, ...]:
        """Return the tokens of the next text; those without any are held back until it is clear what they are.

        Args:
            tokens: What the host says of the next tokens.
            thinking: What of them, and of those held back, turned out to be thought.
            text: What of them turned out to be said.
        """
        tokens = self._held + tokens
        self._held = ()
        if thinking:
            self._thought = True
        if not text:
            self._held = () if thinking else tokens
            return ()
        if self._thought:
            self._thought = False
            return _ending(tokens, text)
        return tokens

    def close(self) -> tuple[TokenLogprob, ...]:
        """Return the tokens that no text has come for: a stop text, as a rule."""
        tokens, self._held = self._held, ()
        return () if self._thought else tokens


def _ending(tokens: tuple[TokenLogprob, ...], text: str) -> tuple[TokenLogprob, ...]:
    """Return the tokens that a text is made of; those before them, of thoughts and tags, end where the text begins."""
    whole = "".join(token.token for token in tokens)
    begin = whole.rfind(text)
    if begin < 0:  # a character of several tokens, which some hosts spell otherwise
        begin = len(whole) - len(text)
    end = 0
    for place, token in enumerate(tokens):
        end += len(token.token)
        if end > begin:
            return tokens[place:]
    return ()

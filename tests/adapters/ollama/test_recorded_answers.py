"""Every recorded answer to a chat and to a text: fed whole, byte by byte, and cut short."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.errors import HostBroken
from adapters.ollama import generate
from adapters.ollama.answer import AnswerDecoder
from adapters.types import Delta, Failure, Finish
from tests.adapters.ollama.events import comparable, decoder, read
from tests.adapters.ollama.recorded import CHATS, GENERATES, Recording

ANSWERS = [*CHATS, *GENERATES]

every_answer = pytest.mark.parametrize("answer", ANSWERS, ids=[answer.name for answer in ANSWERS])

LONG = 4000
"""Bytes from which on an answer is cut at its lines and a sample of its bytes only."""


def reader_of(answer: Recording) -> AnswerDecoder[Any]:
    return decoder() if answer.request["path"] == "/api/chat" else generate.StreamDecoder()


def test_the_recordings_are_there() -> None:
    assert (len(CHATS), len(GENERATES)) == (304, 60)


@every_answer
def test_the_whole_answer_ends_once(answer: Recording) -> None:
    reader = reader_of(answer)
    events = [*reader.feed(answer.body), *reader.close()]
    assert all(isinstance(event, Delta) for event in events[:-1])
    assert isinstance(events[-1], Finish | Failure)
    assert reader.finished


@every_answer
def test_byte_by_byte_gives_the_same_events(answer: Recording) -> None:
    pieces = (bytes([byte]) for byte in answer.body)
    assert read(reader_of(answer), *pieces) == read(reader_of(answer), answer.body)


@every_answer
def test_nothing_comes_after_the_end(answer: Recording) -> None:
    reader = reader_of(answer)
    reader.feed(answer.body)
    reader.close()
    assert reader.feed(answer.body) == []
    assert reader.close() == []


@every_answer
def test_an_answer_cut_short_ends_and_says_nothing_else_before(answer: Recording) -> None:
    whole = read(reader_of(answer), answer.body)
    for cut in cuts(answer.body):
        reader = reader_of(answer)
        before = reader.feed(answer.body[:cut])
        after = reader.close()
        events = comparable([*before, *after])
        if events == whole:
            continue
        assert events[:-1] == whole[: len(events) - 1]
        [end] = after[-1:]
        if not answer.body[:cut].strip() or in_the_middle_of_a_line(answer.body, cut):
            assert isinstance(end, Failure)
            assert isinstance(end.error, HostBroken)
        else:
            assert isinstance(end, Finish)
            assert end.usage.estimated


def cuts(body: bytes) -> list[int]:
    if len(body) <= LONG:
        return list(range(len(body)))
    lines = [place for place, byte in enumerate(body) if byte == ord("\n")]
    return sorted({*range(0, len(body), 97), *lines, *(place + 1 for place in lines[:-1])})


def in_the_middle_of_a_line(body: bytes, cut: int) -> bool:
    return body[cut - 1 : cut] != b"\n" and body[cut : cut + 1] != b"\n"

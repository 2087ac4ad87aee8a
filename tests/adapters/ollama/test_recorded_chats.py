"""Every recorded answer to a chat: fed whole, byte by byte, and cut short."""

from __future__ import annotations

import pytest

from adapters.errors import HostBroken
from adapters.types import Delta, Failure, Finish
from tests.adapters.ollama.events import comparable, decoded, decoder
from tests.adapters.ollama.recorded import CHATS, Recording

every_chat = pytest.mark.parametrize("chat", CHATS, ids=[chat.name for chat in CHATS])

LONG = 4000
"""Bytes from which on an answer is cut at its lines and a sample of its bytes only."""


def test_the_recordings_are_there() -> None:
    assert len(CHATS) == 304


@every_chat
def test_the_whole_answer_ends_once(chat: Recording) -> None:
    reader = decoder()
    events = [*reader.feed(chat.body), *reader.close()]
    assert all(isinstance(event, Delta) for event in events[:-1])
    assert isinstance(events[-1], Finish | Failure)
    assert reader.finished


@every_chat
def test_byte_by_byte_gives_the_same_events(chat: Recording) -> None:
    assert decoded(*(bytes([byte]) for byte in chat.body)) == decoded(chat.body)


@every_chat
def test_nothing_comes_after_the_end(chat: Recording) -> None:
    reader = decoder()
    reader.feed(chat.body)
    reader.close()
    assert reader.feed(chat.body) == []
    assert reader.close() == []


@every_chat
def test_an_answer_cut_short_ends_and_says_nothing_else_before(chat: Recording) -> None:
    whole = decoded(chat.body)
    for cut in cuts(chat.body):
        reader = decoder()
        before = reader.feed(chat.body[:cut])
        after = reader.close()
        events = comparable([*before, *after])
        if events == whole:
            continue
        assert events[:-1] == whole[: len(events) - 1]
        [end] = after[-1:]
        if not chat.body[:cut].strip() or in_the_middle_of_a_line(chat.body, cut):
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

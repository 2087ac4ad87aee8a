"""Halves of surrogate pairs in JSON, as in a text that was cut within an emoji. Go reads them, msgspec does not."""

from __future__ import annotations

import re
from itertools import islice

_HALF = re.compile(
    rb"""
    \\u[dD] (?: [89abAB] [0-9a-fA-F]{2} (?! \\u[dD][c-fC-F] )
              | (?<! [^\\] \\u[dD][89abAB][0-9a-fA-F]{2} \\u[dD] ) (?P<low> [c-fC-F] ) [0-9a-fA-F]{2}
            )
    """,
    re.VERBOSE,
)
"""What may be half a pair: a backslash that stands for itself makes another one look like the begin of an escape."""

_HIGH = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}")
_REPLACEMENT = rb"\ufffd"

_MOST_ESCAPES = 500_000
_MOST_HALVES = 20_000
"""A text that was cut has one half. To look for them among very many escapes, or at very many, would take seconds."""


def with_whole_characters(data: bytes) -> bytes:
    """Return JSON with U+FFFD in the place of each half of a surrogate pair.

    It is the same bytes when there is none, or when there are more escapes, or halves, than any text has.
    """
    if data.count(b"\\") > _MOST_ESCAPES:
        return data
    found = list(islice(_HALF.finditer(data), _MOST_HALVES + 1))
    halves = [one.start() for one in found if _is_half(one)]
    if not halves or len(found) > _MOST_HALVES:
        return data
    whole = bytearray(data)
    for place in halves:
        whole[place : place + len(_REPLACEMENT)] = _REPLACEMENT
    return bytes(whole)


def _is_half(found: re.Match[bytes]) -> bool:
    place = found.start()
    before = place - len(_REPLACEMENT)
    if found["low"] and _HIGH.match(found.string, before):
        return not _begins_escape(found.string, before)
    return _begins_escape(found.string, place)


def _begins_escape(data: bytes, place: int) -> bool:
    """Whether a backslash begins an escape: of several in a row each second one stands for itself."""
    first = place
    while data[first - 1 : first] == b"\\":
        first -= 1
    return (place - first) % 2 == 0

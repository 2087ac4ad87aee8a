"""How Go writes and reads what goes over Ollama's wire: JSON, times, durations, floats.

A real host is a Go program, and its bytes show it: `<`, `>` and `&` are escaped, times and 32-bit floats have no more
digits than they need, and a malformed request is refused in the words of Go's decoder.
"""

from __future__ import annotations

import json
import math
import re
import struct
import time
from collections.abc import Iterable
from typing import Any

import msgspec

_ESCAPES = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)

FOREVER = math.inf
"""A duration without end: what a negative `keep_alive` means."""

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION_PART = re.compile(r"(\d*\.?\d*)([^\d.]*)")


class DecodeError(ValueError):
    """A body that Go's decoder refuses; the text is Go's."""


def encode(value: Any) -> bytes:
    """Return JSON as Go's `json.Marshal` writes it. The order of an object's fields is kept."""
    data = msgspec.json.encode(value)
    for raw, escaped in _ESCAPES:
        if raw in data:
            data = data.replace(raw, escaped)
    return data


def decode(body: bytes) -> Any:
    """Return the first JSON value in a body; what follows it is not looked at, as gin does not look at it.

    Raises:
        DecodeError: There is no such value.
    """
    text = body.decode("utf-8", "replace").lstrip(" \t\r\n")
    if not text:
        raise DecodeError("missing request body")
    try:
        value, _ = _DECODER.raw_decode(text)
    except json.JSONDecodeError as error:
        raise DecodeError(_complaint(error)) from error
    return value


def _refuse_constant(name: str) -> Any:
    raise json.JSONDecodeError("Expecting value", name, 0)


def _number(text: str) -> float | int:
    """Read a number with a fraction. Go writes one without a fraction as an integer, so it is read as one."""
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 1e15 else value


def _integer(text: str) -> int:
    """Read an integer, which fits none of Go's types when it has more digits than Python reads."""
    try:
        return int(text)
    except ValueError as error:
        raise DecodeError(f"json: cannot unmarshal number {text} into Go value of type int64") from error


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_number, parse_int=_integer, strict=True)

_CONTEXTS = {
    "Expecting value": "looking for beginning of value",
    "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
    "Expecting ':' delimiter": "after object key",
    "Expecting ',' delimiter": "after object key:value pair",
    "Invalid control character at": "in string literal",
    "Invalid \\escape": "in string escape code",
}


def _complaint(error: json.JSONDecodeError) -> str:
    """Say in Go's words what Python's decoder found."""
    found = error.doc[error.pos :]
    if not error.msg.startswith("Invalid"):  # what is wrong is not within a text
        found = found.lstrip(" \t\r\n")
    if not found or error.msg.startswith("Unterminated"):
        return "unexpected EOF"
    context = next((words for start, words in _CONTEXTS.items() if error.msg.startswith(start)), "in literal")
    return f"invalid character {_quote_character(found[0])} {context}"


def _quote_character(character: str) -> str:
    escaped = {"'": r"'\''", '"': "'\"'"}.get(character)
    return escaped or f"'{character.encode('unicode_escape').decode() if ord(character) < 32 else character}'"


def quote(text: str) -> str:
    """Return a text as Go's `%q` writes it."""
    return json.dumps(text, ensure_ascii=False)


def timestamp(nanoseconds: int) -> str:
    """Return a moment since the epoch as RFC 3339 in UTC, without the zeros at the end of its fraction."""
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    digits = f".{fraction:09d}".rstrip("0").rstrip(".")
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + digits + "Z"


def parse_duration(text: str) -> float:
    """Return the seconds of a Go duration such as `"1h30m"`.

    Raises:
        DecodeError: The text is not a duration.
    """
    unsigned = text[1:] if text[:1] in ("-", "+") else text
    if unsigned == "0":
        return 0.0
    if not unsigned:
        raise DecodeError(f"time: invalid duration {quote(text)}")
    seconds, position = 0.0, 0
    while position < len(unsigned):
        part = _DURATION_PART.match(unsigned, position)
        number, unit = part.groups() if part else ("", "")
        if number in ("", "."):
            raise DecodeError(f"time: invalid duration {quote(text)}")
        if not unit:
            raise DecodeError(f"time: missing unit in duration {quote(text)}")
        if unit not in _UNITS:
            raise DecodeError(f"time: unknown unit {quote(unit)} in duration {quote(text)}")
        seconds += float(number) * _UNITS[unit]
        position += len(number) + len(unit)
    return -seconds if text[0] == "-" else seconds


def float32(value: float) -> float:
    """Round to the nearest 32-bit float, kept as a 64-bit one."""
    rounded: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return rounded


def _shortest(value: float) -> str:
    """Write a 32-bit float with the fewest digits that read back as the same 32-bit float."""
    texts = (format(value, f".{digits}g") for digits in range(1, 10))
    return next(text for text in texts if float32(float(text)) == value)


def _spell(text: str) -> str:
    """Spell a float as Go's JSON does: plain down to 1e-6, and no zero in front of a one-digit exponent."""
    value = float(text)
    if value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if abs(value) >= 1e-6:
        mantissa, _, exponent = text.partition("e")
        places = len(mantissa.partition(".")[2]) - int(exponent or 0)
        return f"{value:.{places}f}"
    return re.sub(r"e-0(\d)$", r"e-\1", text)


def float32_list(values: Iterable[float]) -> msgspec.Raw:
    """Write 32-bit floats as Go's JSON does, for `/api/embed`."""
    return msgspec.Raw(b"[" + ",".join(_spell(_shortest(float32(value))) for value in values).encode() + b"]")


def float64_list(values: Iterable[float]) -> msgspec.Raw:
    """Write 32-bit floats widened to 64 bits, for `/api/embeddings`."""
    return msgspec.Raw(b"[" + ",".join(_spell(repr(float32(value))) for value in values).encode() + b"]")

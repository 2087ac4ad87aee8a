"""The body of a native request, read as Ollama's server reads it, and changed only where something must change.

Ollama reads JSON with Go's decoder: names match without case, unknown ones are passed over, null is as good as absent
(wire.md 1.1). Whoever decides by a body what a caller may do must not read another name out of it than the host does.
So a body that gives one field twice in different cases is refused, and so is what Go might read and this does not: more
fields than any request has, and something after the JSON, at which Go does not look. Where the host might read another
value it is sent what was read here: to Go, a null after a value changes nothing, and half of a surrogate pair is
U+FFFD.

A body may be as large as `max_body`, so it costs little whatever is in it: values are skipped over as they are, and one
that is looked at is read as the type that it should have, which stops at the first byte of any other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from adapters.errors import InvalidRequest
from adapters.ollama.native.surrogates import with_whole_characters

_MOST = 10_000
_SHORTEST = len(b'"":0,')
"""How many fields an object may have, and how many bytes each takes at least."""

LONGEST = 1000
"""How long a name may be, and how many bytes of a value are looked at; Ollama's longest name has 600 characters."""

NULL = Raw(b"null")
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Body:
    """The fields of a request.

    Attributes:
        data: The body, as it came wherever it can be read in one way only.
    """

    __slots__ = ("_fields", "_spelled", "data")

    def __init__(self, data: bytes, fields: dict[str, Raw]) -> None:
        """Take fields that were read.

        Raises:
            InvalidRequest: A field is there twice, in different spellings.
        """
        self.data = data
        self._fields = fields
        self._spelled = {_folded(name): name for name in fields}
        if len(self._spelled) < len(fields):
            twice = next(_folded(name) for name in fields if self._spelled[_folded(name)] != name)
            raise InvalidRequest(f"the field {twice!r} is given more than once", param=twice)

    def has(self, field: str) -> bool:
        """Whether a field is there and not null."""
        return self._raw(field) is not None

    def scalar(self, field: str) -> bool | int | float | str | None:
        """Return a number, a boolean or a short text; None when a field is absent, null, or none of them."""
        raw = self._raw(field)
        if raw is None or memoryview(raw).nbytes > LONGEST:
            return None
        try:
            value: bool | int | float | str = _SCALAR.decode(raw)
        except _UNREADABLE:
            return None
        return value

    def text(self, field: str) -> str:
        """Return a field's text, of any length; empty when it is absent or no text."""
        raw = self._raw(field)
        return ("" if raw is None else decode_text(raw)) or ""

    def name(self, field: str) -> str:
        """Return a field's text, which is a name; empty when it is absent or no text.

        Raises:
            InvalidRequest: It is longer than any name.
        """
        text = self.text(field)
        if len(text) > LONGEST:
            raise InvalidRequest(f"{field} has more than {LONGEST} characters, which no name has", param=field)
        return text

    def fields(self, field: str) -> dict[str, Raw] | None:
        """Return the fields of an object; None when it is absent, null, no object, or makes no sense.

        Raises:
            InvalidRequest: It has more fields than any object.
        """
        raw = self._raw(field)
        if raw is None:
            return None
        try:
            return _decode_fields(raw)
        except _UNREADABLE:
            return None

    def is_empty_list(self, field: str) -> bool:
        """Whether a field is a list in which there is nothing."""
        raw = self._raw(field)
        return raw is not None and _EMPTY_LIST.fullmatch(raw) is not None

    def with_fields(self, changes: Mapping[str, Any]) -> bytes:
        """Return the body with some fields set, and all others as they came; without changes it is the same bytes.

        Raises:
            InvalidRequest: A value cannot be written.
        """
        if not changes:
            return self.data
        fields: dict[str, Any] = dict(self._fields)
        for name, value in changes.items():
            fields[self._spelled.get(name, name)] = value
        try:
            return msgspec.json.encode(fields)
        except (ValueError, RecursionError) as error:
            raise InvalidRequest(str(error)) from error

    def _raw(self, field: str) -> Raw | None:
        raw = self._fields.get(self._spelled.get(field, field))
        return None if raw == NULL else raw


def decode_text(value: Raw) -> str | None:
    """Return a text; None when it is none, or makes no sense."""
    try:
        return _TEXT.decode(value)
    except _UNREADABLE:
        return None


def decode_body(data: bytes) -> Body:
    """Return the fields of a body, whatever its content type says.

    JSON that is no object has no fields, and is left to a host to judge, who says what it is.

    Raises:
        InvalidRequest: It is no JSON, in the words of Go's decoder as far as they tell what is wrong.
    """
    if not data:
        raise InvalidRequest("missing request body")
    try:
        return _read(data)
    except _UNREADABLE as error:
        whole = with_whole_characters(data)
        if whole is data:
            raise InvalidRequest(_reason(data, error)) from error
    try:
        return _read(whole)
    except _UNREADABLE as error:
        raise InvalidRequest(_reason(whole, error)) from error


def _read(data: bytes) -> Body:
    try:
        fields = _decode_fields(data)
    except msgspec.ValidationError:
        _ANY.decode(data)
        return Body(data, {})
    return Body(msgspec.json.encode(fields) if NULL in fields.values() else data, fields)


def _folded(name: str) -> str:
    """Return a name as Go compares it with an ASCII one: the long s and the Kelvin sign count as letters of ASCII.

    One that is longer than any that is looked for may stay as it is.
    """
    return name.replace("\N{LATIN SMALL LETTER LONG S}", "s").lower() if len(name) <= LONGEST else name


# --- JSON -------------------------------------------------------------------------------------------------------------

_ANY = msgspec.json.Decoder(Raw)
_SCALAR = msgspec.json.Decoder(bool | int | float | str)
_TEXT = msgspec.json.Decoder(str)
_FIELDS = msgspec.json.Decoder(dict[str, Raw])
_EMPTY_LIST = re.compile(rb"\[[ \t\r\n]*\]")


class _Name(str):
    """The name of a field, which is counted."""

    __slots__ = ()


class _Counter:
    """Counts the fields of an object while it is read, so that a million of them are not."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, _: type, name: str) -> _Name:
        self._count += 1
        if self._count > _MOST:
            raise InvalidRequest(f"more than {_MOST} fields in one object, which no request has")
        return _Name(name)


def _decode_fields(data: bytes | Raw) -> dict[str, Raw]:
    """Return the fields of an object, each value as it is written.

    Raises:
        InvalidRequest: There are more than any object has.
        msgspec.ValidationError: It is no object.
        msgspec.DecodeError, UnicodeDecodeError, RecursionError: It is no JSON.
    """
    if memoryview(data).nbytes < _MOST * _SHORTEST:
        return _FIELDS.decode(data)
    return {**msgspec.json.decode(data, type=dict[_Name, Raw], dec_hook=_Counter())}


# --- what is wrong with it --------------------------------------------------------------------------------------------

_PLACE = re.compile(r"\(byte (\d+)\)")

_WHERE = {
    "object keys must be strings": "looking for beginning of object key string",
    "trailing comma in object": "looking for beginning of object key string",
    "trailing comma in array": "looking for beginning of value",
    "expected ':'": "after object key",
    "expected ',' or '}'": "after object key:value pair",
    "expected ',' or ']'": "after array element",
    "invalid escaped character": "in string escape code",
}
"""Go's words for msgspec's."""

_QUOTED = {"'": r"'\''", '"': "'\"'"}
"""Characters that Go's decoder quotes in another way than Python."""


def _reason(data: bytes, error: Exception) -> str:
    """Return what is wrong, in the words of Go's decoder as far as they are known."""
    words = str(error)
    if isinstance(error, RecursionError):
        return "exceeded max depth"
    if "surrogate" in words or "hex escape" in words:
        return "halves of surrogate pairs among too many escapes to be made whole; write each character whole"
    if "truncated" in words:
        return "EOF" if data.isspace() else "unexpected EOF"
    if "trailing characters" in words:
        return "the request body goes on after its JSON"
    found = _PLACE.search(words)
    place = int(found[1]) if found else len(data)
    if place >= len(data):
        return f"the request body is no valid JSON: {words}"
    character = chr(data[place])
    where = next((where for said, where in _WHERE.items() if said in words), f"in the JSON of the body, byte {place}")
    if "invalid character" in words and data[:place].rstrip()[-1:] in b":,[":
        where = "looking for beginning of value"
    return f"invalid character {_QUOTED.get(character, repr(character))} {where}"

"""The body of a native request, read as Ollama's server reads it, and changed only where something must change.

Ollama reads JSON with Go's decoder: names match without case, unknown ones are passed over, null is as good as absent
(wire.md 1.1). Whoever decides by a body what a caller may do must not read another name out of it than the host does.
So a body that gives one field twice in different cases is refused, and so is what Go might read and this does not.
Where the host might read another value it is sent what was read here: to Go, a null after a value changes nothing, and
half of a surrogate pair is U+FFFD.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from adapters.errors import InvalidRequest

_FIELDS = msgspec.json.Decoder(dict[str, Raw])
_ANY = msgspec.json.Decoder(Raw)
_VALUE = msgspec.json.Decoder()

_NULL = Raw(b"null")
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

    def has(self, name: str) -> bool:
        """Whether a field is there and not null."""
        return self._raw(name) is not None

    def get(self, name: str) -> Any:
        """Return a field's value; None when it is absent, null, or makes no sense."""
        raw = self._raw(name)
        if raw is None:
            return None
        try:
            return _VALUE.decode(raw)
        except _UNREADABLE:
            return None

    def text(self, name: str) -> str:
        """Return a field's text; empty when it is absent or no text."""
        value = self.get(name)
        return value if isinstance(value, str) else ""

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

    def _raw(self, name: str) -> Raw | None:
        raw = self._fields.get(self._spelled.get(name, name))
        return None if raw == _NULL else raw


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
        whole = _ESCAPE.sub(_without_half, data)
        if whole == data:
            raise InvalidRequest(_reason(data, error)) from error
    return decode_body(whole)


def _read(data: bytes) -> Body:
    try:
        fields = _FIELDS.decode(data)
    except msgspec.ValidationError:
        _ANY.decode(data)
        return Body(data, {})
    return Body(msgspec.json.encode(fields) if _NULL in fields.values() else data, fields)


def _folded(name: str) -> str:
    """Return a name as Go compares it with an ASCII one: the long s and the Kelvin sign count as letters of ASCII."""
    return name.replace("\N{LATIN SMALL LETTER LONG S}", "s").lower()


_ESCAPE = re.compile(
    rb"\\(?:ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}|(?P<half>ud[89a-f][0-9a-f]{2})|.)", re.IGNORECASE | re.DOTALL
)


def _without_half(escape: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if escape["half"] else escape[0]


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
    if "truncated" in words:
        return "unexpected EOF" if data.strip() else "EOF"
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

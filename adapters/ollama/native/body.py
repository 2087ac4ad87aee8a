"""The body of a native request, read as Ollama's server reads it, and changed only where something must change.

Ollama reads JSON with Go's decoder: names match without case, unknown ones are passed over, null is as good as absent
(wire.md 1.1). Whoever decides by a body what a caller may do must not read another name out of it than the host does.
So a body that gives one field twice in different cases is refused, and so is what Go might read and this does not.
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

_PLACE = re.compile(r"\(byte (\d+)\)")


class Body:
    """The fields of a request.

    Attributes:
        data: The body as it came.
    """

    __slots__ = ("_fields", "_spelled", "data")

    def __init__(self, data: bytes, fields: dict[str, Raw]) -> None:
        """Take fields that were read.

        Raises:
            InvalidRequest: A field is there twice, in different spellings.
        """
        self.data = data
        self._fields = fields
        self._spelled = {name.casefold(): name for name in fields}
        if len(self._spelled) < len(fields):
            twice = next(name for name in fields if self._spelled[name.casefold()] != name)
            raise InvalidRequest(f"the field {twice.casefold()!r} is given more than once", param=twice.casefold())

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
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
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
        except (ValueError, RecursionError, OverflowError) as error:
            raise InvalidRequest(str(error)) from error

    def _raw(self, name: str) -> Raw | None:
        raw = self._fields.get(self._spelled.get(name, name))
        return None if raw is None or bytes(raw) == b"null" else raw


def decode_body(data: bytes) -> Body:
    """Return the fields of a body, whatever its content type says.

    JSON that is no object has no fields, and is left to a host to judge, who says what it is.

    Raises:
        InvalidRequest: It is no JSON, in the words of Go's decoder as far as they tell what is wrong.
    """
    if not data:
        raise InvalidRequest("missing request body")
    try:
        return Body(data, _FIELDS.decode(data))
    except msgspec.ValidationError:
        pass  # it is JSON so far, and no object
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _refused(data, error) from error
    try:
        _ANY.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _refused(data, error) from error
    return Body(data, {})


def _refused(data: bytes, error: Exception) -> InvalidRequest:
    words = str(error)
    if "truncated" in words:
        return InvalidRequest("unexpected EOF" if data.strip() else "EOF")
    found = _PLACE.search(words)
    place = int(found[1]) if found else -1
    if "trailing" in words:
        return InvalidRequest("the request body goes on after its JSON object")
    if not 0 <= place < len(data):
        return InvalidRequest(f"the request body is no valid JSON: {words}")
    character = chr(data[place])
    where = "looking for beginning of value" if not data[:place].strip() else f"in the JSON of the body, byte {place}"
    return InvalidRequest(f"invalid character {_quoted(character)} {where}")


def _quoted(character: str) -> str:
    """Return a character as Go's decoder quotes it."""
    return {"'": "'\\''", '"': "'\"'"}.get(character) or repr(character)

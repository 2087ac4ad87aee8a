"""Typed readers of a request's JSON, whose failures say where they are, in OpenAI's words and codes.

Requests are decoded to plain JSON in one go and then read field by field. Compared with one typed structure for the
whole body this names fields that nobody knows, gives each failure the message and code that OpenAI gives, and is as
fast for the few fields that a request has.
"""

from __future__ import annotations

import re
from collections.abc import ItemsView
from itertools import islice
from typing import Any

import msgspec

from adapters.errors import InvalidRequest

MAX_DEPTH = 100
"""How deep values that are handed on (schemas, options) may be nested; encoders and schema tools recurse over them."""

MOST_CONTAINERS = 100_000
"""How many objects and arrays a request may have. Each takes some 100 bytes and a microsecond, even an empty one."""

MOST_COMMAS = 3_000_000
"""How many commas a request may have: every further item of an array costs one, and 80 bytes and 0.05 µs or more.

Those within texts count too: to tell them apart would take as long as to decode the body.
"""

MOST_TOKEN = 2**31 - 1
"""Larger than the last token of every encoding; hosts keep a token in 32 bits."""

_CONTAINER = re.compile(rb"\{(?=\s*[\"}])|\[(?=\s*[\"\[\]{\dtfn-])")
"""How an object or an array begins. Little within a text looks like that: a quote there has a backslash before it."""

_decode = msgspec.json.Decoder().decode


class Fields:
    """A JSON object within a request, and where it stands there.

    A field that is null and one that is absent are the same: the caller said nothing.

    Attributes:
        path: Where the object stands, such as `messages[0]`; empty for the request itself.
    """

    __slots__ = ("_values", "path")

    def __init__(self, values: dict[str, Any], path: str = "") -> None:
        self._values = values
        self.path = path

    def at(self, name: str) -> str:
        """Return the path of a field."""
        return f"{self.path}.{name}" if self.path else name

    def items(self) -> ItemsView[str, Any]:
        """Return all fields, in the caller's order."""
        return self._values.items()

    def get(self, name: str) -> Any:
        """Return a field of any type, or None."""
        return self._values.get(name)

    def has_none(self, names: frozenset[str]) -> bool:
        """Whether none of these fields is there."""
        return names.isdisjoint(self._values)

    def has_only(self, names: frozenset[str]) -> bool:
        """Whether all fields are among these."""
        return self._values.keys() <= names

    def unknown(self, known: frozenset[str]) -> list[str]:
        """Return the names of the fields that are not among the known ones."""
        if self._values.keys() <= known:
            return []
        return [name for name, value in self._values.items() if name not in known and value is not None]

    def string(self, name: str) -> str | None:
        """Return a string, or None."""
        value = self._values.get(name)
        if value is None or isinstance(value, str):
            return value
        raise wrong_type(self.at(name), "a string", value)

    def boolean(self, name: str) -> bool | None:
        """Return a boolean, or None."""
        value = self._values.get(name)
        if value is None or isinstance(value, bool):
            return value
        raise wrong_type(self.at(name), "a boolean", value)

    def integer(self, name: str, least: int | None = None, most: int | None = None) -> int | None:
        """Return an integer within bounds, or None. A float without a fraction counts as one."""
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise wrong_type(self.at(name), "an integer", value)
        _check_range(value, self.at(name), "integer", least, most)
        return value

    def number(self, name: str, least: float, most: float) -> float | None:
        """Return a number within bounds, as it was written, or None."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise wrong_type(self.at(name), "a decimal", value)
        _check_range(value, self.at(name), "decimal", least, most)
        return value

    def array(self, name: str) -> list[Any] | None:
        """Return an array, or None."""
        value = self._values.get(name)
        if value is None or isinstance(value, list):
            return value
        raise wrong_type(self.at(name), "an array", value)

    def strings(self, name: str) -> list[str]:
        """Return an array of strings, or nothing."""
        items = self.array(name) or []
        for place, item in enumerate(items):
            if not isinstance(item, str):
                raise wrong_type(f"{self.at(name)}[{place}]", "a string", item)
        return items

    def object(self, name: str) -> Fields | None:
        """Return an object, or None."""
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, dict):
            return Fields(value, self.at(name))
        raise wrong_type(self.at(name), "an object", value)

    def objects(self, name: str) -> list[Fields]:
        """Return an array of objects, or nothing."""
        items = self.array(name)
        if not items:
            return []
        path = self.at(name)
        for place, item in enumerate(items):
            if not isinstance(item, dict):
                raise wrong_type(f"{path}[{place}]", "an object", item)
        return [Fields(item, f"{path}[{place}]") for place, item in enumerate(items)]

    def schema(self, name: str) -> dict[str, Any] | None:
        """Return an object that is handed on as it is, nested no deeper than `MAX_DEPTH`, or None."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise wrong_type(self.at(name), "an object", value)
        check_depth(value, self.at(name))
        return value

    def required_string(self, name: str) -> str:
        """Return a string that must be there and may be empty."""
        value = self.string(name)
        if value is None:
            raise missing(self.at(name))
        return value

    def required_text(self, name: str) -> str:
        """Return a string that must be there and say something."""
        value = self.required_string(name)
        if not value:
            path = self.at(name)
            message = f"Invalid '{path}': empty string. Expected a string with minimum length 1."
            raise InvalidRequest(message, param=path, code="empty_string")
        return value

    def required_object(self, name: str) -> Fields:
        """Return an object that must be there."""
        value = self.object(name)
        if value is None:
            raise missing(self.at(name))
        return value


class Ignored:
    """The paths of fields that were accepted and have no effect.

    They go into a header of the answer. So there are at most `MOST` of them, each short and of letters, digits and a
    few signs; whatever else a caller put into a name stands there as a question mark.
    """

    MOST = 20
    LONGEST = 64

    __slots__ = ("_paths",)

    def __init__(self) -> None:
        self._paths: dict[str, None] = {}

    def add(self, path: str) -> None:
        """Name a field; naming it again changes nothing."""
        if len(self._paths) <= self.MOST:
            self._paths[_UNSAFE.sub("?", path[: self.LONGEST])] = None

    def paths(self) -> tuple[str, ...]:
        """Return the paths in the order of their first naming, ending in `...` when there were too many."""
        paths = tuple(self._paths)
        return (*paths[: self.MOST], "...") if len(paths) > self.MOST else paths


_UNSAFE = re.compile(r"[^A-Za-z0-9_.\[\]-]")


def decode_object(body: bytes) -> Fields:
    """Decode the body of a request.

    Raises:
        InvalidRequest: It is not JSON, not UTF-8, nested too deeply, not an object, or has more parts than
            `MOST_CONTAINERS` and `MOST_COMMAS`.
    """
    if _has_too_many_containers(body):
        raise _too_many(f"{MOST_CONTAINERS:,} JSON objects and arrays")
    if len(body) > MOST_COMMAS and body.count(b",") > MOST_COMMAS:
        raise _too_many(f"{MOST_COMMAS:,} commas")
    try:
        value = _decode(body)
    except msgspec.DecodeError as error:
        reason = str(error).removeprefix("JSON is malformed: ").partition(" - at ")[0] if body else "it is empty"
        raise InvalidRequest(f"The request body is not valid JSON: {reason}.") from error
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"The request body is not valid UTF-8 (byte {error.start} of a string).") from error
    except RecursionError as error:
        raise InvalidRequest("The request body is nested too deeply.") from error
    if not isinstance(value, dict):
        message = f"The request body must be a JSON object, but it is {_kind(value)}."
        raise InvalidRequest(message, code="invalid_type")
    return Fields(value)


def missing(path: str) -> InvalidRequest:
    """Return the failure for a field that must be there."""
    return InvalidRequest(f"Missing required parameter: '{path}'.", param=path, code="missing_required_parameter")


def wrong_type(path: str, expected: str, value: object) -> InvalidRequest:
    """Return the failure for a value of the wrong JSON type."""
    message = f"Invalid type for '{path}': expected {expected}, but got {_kind(value)} instead."
    return InvalidRequest(message, param=path, code="invalid_type")


def not_among(path: str, value: str, allowed: tuple[str, ...]) -> InvalidRequest:
    """Return the failure for a word that is not one of those which mean something."""
    listed = ", ".join(f"'{word}'" for word in allowed)
    message = f"Invalid value: '{shown(value)}'. Supported values are: {listed}."
    return InvalidRequest(message, param=path, code="invalid_value")


def not_supported(path: str, message: str, code: str = "unsupported_value") -> InvalidRequest:
    """Return the failure for something valid that cannot be honoured here."""
    return InvalidRequest(message, param=path, code=code)


def shown(text: str) -> str:
    """Return a caller's text, cut so that it fits into a message."""
    return text if len(text) <= 60 else f"{text[:60]}…"


def check_depth(value: object, path: str) -> None:
    """Check that a value can be handed on.

    Raises:
        InvalidRequest: It is nested deeper than `MAX_DEPTH`.
    """
    containers: list[Any] = [[value]]
    for _ in range(MAX_DEPTH + 2):
        if not containers:
            return
        containers = [
            child
            for container in containers
            for child in (container.values() if isinstance(container, dict) else container)
            if isinstance(child, (dict, list))
        ]
    raise InvalidRequest(f"Invalid '{path}': nested deeper than {MAX_DEPTH} levels.", param=path)


def is_all(items: list[Any], kind: type) -> bool:
    """Whether there are items and all are of exactly this type; to `isinstance` booleans are integers too."""
    return set(map(type, items)) == {kind}


def check_tokens(items: list[Any], path: str) -> None:
    """Check that all items are tokens.

    Raises:
        InvalidRequest: One is no integer, or not within 0 and `MOST_TOKEN`.
    """
    if not items or (is_all(items, int) and min(items) >= 0 and max(items) <= MOST_TOKEN):
        return
    place, odd = next(
        (place, item) for place, item in enumerate(items) if type(item) is not int or not 0 <= item <= MOST_TOKEN
    )
    path = f"{path}[{place}]"
    if type(odd) is not int:
        raise wrong_type(path, "an integer", odd)
    raise InvalidRequest(f"Invalid '{path}': a token is not below 0 or above {MOST_TOKEN}.", param=path)


def _too_many(parts: str) -> InvalidRequest:
    return InvalidRequest(f"The request body has more than {parts}. Send less in one request.")


def _has_too_many_containers(body: bytes) -> bool:
    """Whether decoding a body would take too long. The event loop waits for it, and so does every other caller."""
    if len(body) <= MOST_CONTAINERS or body.count(b"{") + body.count(b"[") <= MOST_CONTAINERS:
        return False
    return next(islice(_CONTAINER.finditer(body), MOST_CONTAINERS, None), None) is not None


def _check_range(value: float, path: str, kind: str, least: float | None, most: float | None) -> None:
    if least is not None and value < least:
        found = f"{kind} below minimum value. Expected a value >= {least}, but got {shown(str(value))} instead."
        raise InvalidRequest(f"Invalid '{path}': {found}", param=path, code=f"{kind}_below_min_value")
    if most is not None and value > most:
        found = f"{kind} above maximum value. Expected a value <= {most}, but got {shown(str(value))} instead."
        raise InvalidRequest(f"Invalid '{path}': {found}", param=path, code=f"{kind}_above_max_value")


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int():
            return "an integer"
        case float():
            return "a decimal"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"

"""Typed reading of JSON values, refused in the words of Go's decoder (wire.md 1.1, 2).

A reader is a function from a JSON value and the place it stands in to what it means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gateway.simulator.answers import Refusal

Reader = Callable[[Any, str], Any]


def kind(value: Any) -> str:
    """Name a JSON value's type as Go's decoder does."""
    match value:
        case bool():
            return "bool"
        case int():
            return "number"
        case float():
            return f"number {value}"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def mismatch(value: Any, place: str, go_type: str) -> Refusal:
    """Return the refusal of a value that does not have its field's type."""
    where = f"struct field {place}" if place else "value"
    return Refusal(400, f"json: cannot unmarshal {kind(value)} into Go {where} of type {go_type}")


def plain(go_type: str, *types: type) -> Reader:
    """Return the reader of a value of one of some types."""

    def read(value: Any, place: str) -> Any:
        if isinstance(value, types) and not (isinstance(value, bool) and bool not in types):
            return value
        raise mismatch(value, place, go_type)

    return read


string = plain("string", str)
boolean = plain("bool", bool)
integer = plain("int", int)
mapping = plain("map[string]interface {}", dict)


def anything(value: Any, _place: str) -> Any:
    """Read a value of any type."""
    return value


def list_of(go_type: str, item: Reader) -> Reader:
    """Return the reader of a list."""

    def read(value: Any, place: str) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise mismatch(value, place, go_type)
        return tuple(item(each, place) for each in value if each is not None)

    return read


def texts(value: Any, place: str) -> dict[str, str]:
    """Read an object whose values are texts."""
    if not isinstance(value, dict):
        raise mismatch(value, place, "map[string]string")
    return {name: string(each, place) for name, each in value.items() if each is not None}


def fields(value: Any, place: str, go_type: str, table: Mapping[str, Reader]) -> dict[str, Any]:
    """Read the fields of an object. Null is as good as absent, names match without case, unknown ones are ignored."""
    if not isinstance(value, dict):
        raise mismatch(value, place, go_type)
    known = {name if name in table else name.lower(): each for name, each in value.items() if each is not None}
    return {name: read(known[name], f"{place}.{name}") for name, read in table.items() if name in known}

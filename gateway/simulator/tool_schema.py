"""What Ollama keeps of a tool's JSON Schema: it is read into a fixed struct, and the rest is lost (wire.md 1.6)."""

from __future__ import annotations

from typing import Any

from gateway.simulator.readers import Reader, anything, fields, list_of, mismatch, string

NO_PARAMETERS: dict[str, Any] = {"type": "", "properties": None}
"""What becomes of a function without `parameters`."""


def _list(go_type: str, item: Reader) -> Reader:
    read = list_of(go_type, item)
    return lambda value, place: list(read(value, place))


_strings = _list("[]string", string)


def read_parameters(value: Any, place: str) -> dict[str, Any]:
    """Read the `parameters` of a function; the result holds what Ollama hands on, in its order."""
    table: dict[str, Reader] = {
        "type": string,
        "$defs": anything,
        "items": anything,
        "required": _strings,
        "properties": _properties,
    }
    kept = fields(value, place, "api.ToolFunctionParameters", table)
    kept = {name: each for name, each in kept.items() if each != [] or name == "properties"}
    return {"type": kept.pop("type", ""), **kept, "properties": kept.pop("properties", None)}


def _properties(value: Any, _place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise mismatch(value, "", "map[string]api.ToolProperty")
    return {name: _property(each, "") for name, each in value.items()}


def _property(value: Any, place: str) -> dict[str, Any]:
    table: dict[str, Reader] = {
        "anyOf": _list("[]api.ToolProperty", _property),
        "type": _type,
        "items": anything,
        "description": string,
        "enum": _list("[]interface {}", anything),
        "properties": _properties,
        "required": _strings,
    }
    if not isinstance(value, dict):
        raise mismatch(value, place, "api.ToolProperty")
    kept = fields(value, "ToolProperty", "api.ToolProperty", table)
    return {name: each for name, each in kept.items() if each not in ([], "")}


def _type(value: Any, place: str) -> Any:
    return value if isinstance(value, str) else _strings(value, place)

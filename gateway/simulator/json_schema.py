"""JSON Schema as far as an answer held to one needs it: does a value fit, and what is a small value that does."""

from __future__ import annotations

import math
from types import UnionType
from typing import Any

Schema = dict[str, Any]

_TYPES = ("object", "array", "string", "integer", "number", "boolean", "null")
_DEPTH = 6
"""How deep optional properties are filled in; below it only required ones are, so that recursive schemas end."""

_FORMATS = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "time": "00:00:00Z",
    "duration": "PT1S",
    "email": "demo@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


class SchemaError(ValueError):
    """A schema that no answer can be held to.

    Attributes:
        schema: The part of it that is at fault.
    """

    def __init__(self, schema: Any) -> None:
        super().__init__(f"Unrecognized schema: {schema}")
        self.schema = schema


def sort_properties(schema: Any) -> Any:
    """Return a schema with the properties of every object in alphabetical order."""
    if isinstance(schema, dict):
        return {name: sort_properties(schema[name]) for name in sorted(schema)}
    return [sort_properties(item) for item in schema] if isinstance(schema, list) else schema


_SHAPES: dict[str, type | UnionType] = {
    "type": str | list,
    "properties": dict,
    "required": list,
    "items": dict | bool,
    "enum": list,
    "anyOf": list,
    "oneOf": list,
    "allOf": list,
    "$defs": dict,
    "definitions": dict,
}


def check(schema: Any) -> None:
    """Refuse what is no schema: unknown types, and keywords with values of the wrong shape.

    Raises:
        SchemaError: There is such a thing in it.
    """
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        raise SchemaError(schema)
    if any(name in schema and not isinstance(schema[name], shape) for name, shape in _SHAPES.items()):
        raise SchemaError(schema)
    kinds = schema.get("type", [])
    if any(kind not in _TYPES for kind in ([kinds] if isinstance(kinds, str) else kinds)):
        raise SchemaError(schema)
    for name in ("properties", "$defs", "definitions"):
        for child in schema.get(name, {}).values():
            check(child)
    for name in ("anyOf", "oneOf", "allOf"):
        for child in schema.get(name, ()):
            check(child)
    check(schema.get("items", True))


def _resolve(schema: Any, root: Schema) -> Schema:
    """Follow references, choose the first alternative and merge what must hold together."""
    if not isinstance(schema, dict):
        return {}
    if isinstance(reference := schema.get("$ref"), str):
        target: Any = root
        for part in reference.removeprefix("#").strip("/").split("/"):
            target = target.get(part, {}) if part and isinstance(target, dict) else target
        return _resolve(target, root) if target is not schema else {}
    for choice in ("anyOf", "oneOf"):
        if schema.get(choice):
            rest = {name: value for name, value in schema.items() if name != choice}
            return _merge(rest, _resolve(schema[choice][0], root))
    if schema.get("allOf"):
        merged = {name: value for name, value in schema.items() if name != "allOf"}
        for part in schema["allOf"]:
            merged = _merge(merged, _resolve(part, root))
        return merged
    return schema


def _merge(first: Schema, second: Schema) -> Schema:
    merged = first | second
    if "properties" in first and "properties" in second:
        merged["properties"] = first["properties"] | second["properties"]
    if "required" in first and "required" in second:
        merged["required"] = [*first["required"], *second["required"]]
    return merged


def _kind(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        return next((each for each in kind if each != "null"), "null")
    if isinstance(kind, str):
        return kind
    return "object" if "properties" in schema else "array" if "items" in schema else "string"


def instance(schema: Schema, filler: str) -> Any:
    """Return a small value that fits a schema.

    Args:
        schema: The schema.
        filler: What strings hold that nothing more is said about.
    """
    return _instance(schema, schema, filler, 0)


def _instance(schema: Any, root: Schema, filler: str, depth: int) -> Any:
    schema = _resolve(schema, root)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    match _kind(schema):
        case "object":
            properties = schema.get("properties", {})
            wanted = schema.get("required", ()) if depth >= _DEPTH else properties
            names = [name for name in properties if name in wanted]
            return {name: _instance(properties[name], root, filler, depth + 1) for name in names}
        case "array":
            least = schema.get("minItems", 1 if depth < _DEPTH else 0)
            count = min(least, schema.get("maxItems", least))
            return [_instance(schema.get("items", {}), root, filler, depth + 1) for _ in range(count)]
        case "string":
            return _string(schema, filler)
        case "integer":
            return int(_number(schema, whole=True))
        case "number":
            return _number(schema, whole=False)
        case "boolean":
            return True
        case _:
            return None


def _string(schema: Schema, filler: str) -> str:
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    text = filler
    while len(text) < schema.get("minLength", 0):
        text += filler or " "
    return text[: schema["maxLength"]] if "maxLength" in schema else text


def _number(schema: Schema, *, whole: bool) -> float:
    """Return 1 where it fits, else the nearest bound."""
    lowest: float = schema.get("minimum", -math.inf)
    highest: float = schema.get("maximum", math.inf)
    step: float = schema.get("multipleOf", 1 if whole else 0)
    if "exclusiveMinimum" in schema:
        lowest = max(lowest, schema["exclusiveMinimum"] + (step or 1))
    if "exclusiveMaximum" in schema:
        highest = min(highest, schema["exclusiveMaximum"] - (step or 1))
    value = min(max(1, lowest), highest)
    return math.ceil(value / step) * step if step else value


def fits(value: Any, schema: Schema) -> bool:
    """Tell whether a value could have been generated under a schema: properties come in the schema's order."""
    return _fits(value, schema, schema)


def _fits(value: Any, schema: Any, root: Schema) -> bool:
    if isinstance(schema, dict) and (choices := schema.get("anyOf") or schema.get("oneOf")):
        return any(_fits(value, choice, root) for choice in choices)
    schema = _resolve(schema, root)
    if "const" in schema:
        return bool(value == schema["const"])
    if "enum" in schema:
        return value in schema["enum"]
    match value:
        case dict():
            properties = schema.get("properties", {})
            in_order = [name for name in properties if name in value] == [name for name in value if name in properties]
            complete = all(name in value for name in schema.get("required", ()))
            members = all(_fits(each, properties.get(name, {}), root) for name, each in value.items())
            return _allows(schema, "object") and in_order and complete and members
        case list():
            return _allows(schema, "array") and all(_fits(each, schema.get("items", {}), root) for each in value)
        case bool():
            return _allows(schema, "boolean")
        case int():
            return _allows(schema, "integer") or _allows(schema, "number")
        case float():
            return _allows(schema, "number")
        case str():
            return _allows(schema, "string")
        case _:
            return _allows(schema, "null")


def _allows(schema: Schema, kind: str) -> bool:
    allowed = schema.get("type", kind)
    return kind in allowed if isinstance(allowed, list) else bool(allowed == kind)

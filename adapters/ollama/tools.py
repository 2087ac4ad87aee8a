"""Tools for a host, with JSON Schemas that survive it (wire.md 1.6).

Ollama reads a tool's schema into a fixed structure and writes it out again for the model. Keywords outside of that
structure are lost, and some values are refused. So a schema is flattened first: what the surviving keywords can say is
said with them, and the rest is put into words at the end of a `description`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote

import msgspec
from msgspec import Raw, Struct

from adapters.types import Schema, Tool

MAX_DEPTH = 32
"""How deep a flattened schema is nested at most."""

MAX_NODES = 4096
"""How many schemas go into a flattened one at most: references can make a short schema endless."""

MAX_REFERENCED = 256 * 1024
"""Bytes of JSON that the references of one schema write out at most: each may lead to the same long list."""

LARGEST_REMEMBERED = 16 * 1024
"""Bytes of a schema in JSON, up to which what becomes of it is remembered."""

MOST_REMEMBERED = 256
"""How many schemas are remembered. Callers send the same tools with each turn of a conversation."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class WireFunction(Struct, frozen=True, omit_defaults=True):
    """A function as Ollama takes it."""

    name: str
    parameters: Raw
    description: str = ""


class WireTool(Struct, frozen=True):
    """A tool as Ollama takes it."""

    function: WireFunction
    type: str = "function"


def encode_tool(tool: Tool) -> WireTool:
    """Return a tool as Ollama takes it. One without parameters takes an empty object."""
    schema = _encode(tool.parameters or {})
    parameters, words = _remembered(schema) if len(schema) <= LARGEST_REMEMBERED else _flatten_text(schema)
    return WireTool(WireFunction(tool.name, parameters, _join((tool.description, words))))


def flatten(schema: Schema) -> tuple[Schema, str]:
    """Return a schema of parameters that survives, and what only words can say of its top level.

    References within the schema are written out, `allOf` is merged, `oneOf` becomes `anyOf`, `const` an `enum` of one
    value, and `nullable` the type `null`. Other keywords become words, such as `(default: 5; minimum: 1)`. Where parts
    of an `allOf` say the same keyword twice, the first stays; descriptions are joined. A reference back into itself is
    cut short and says so, and what is over `MAX_DEPTH`, `MAX_NODES` or `MAX_REFERENCED` is left open. The schema may be
    any JSON, and is not changed.
    """
    return _Flattening(schema).parameters()


def _flatten_text(schema: bytes) -> tuple[Raw, str]:
    flat, words = flatten(_decode(schema))
    return Raw(_encode(flat)), words


_remembered = lru_cache(MOST_REMEMBERED)(_flatten_text)


_SURVIVING_ON_TOP = frozenset({"type", "items", "required", "properties"})
_SURVIVING = _SURVIVING_ON_TOP | {"anyOf", "enum"}

_SILENT = frozenset({"$schema", "$id", "$anchor", "$comment", "$defs", "definitions", "discriminator"})
"""Keywords that tell a model nothing, once references are written out."""

_NAMED_SCHEMAS = frozenset({"properties", "patternProperties", "dependentSchemas"})
_SCHEMAS = frozenset({"anyOf", "oneOf", "items", "prefixItems", "additionalItems", "unevaluatedItems", "contains"}) | {
    "additionalProperties",
    "unevaluatedProperties",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
}

_NOTE_LIMIT = 200
"""Characters that the value of a keyword takes in a description."""

_TOO_LARGE = "(the schema is too large to show)"
_NOTHING = "(no value is allowed)"


class _Texts(dict[str, None]):
    """The texts of `required` or `description` in merged keywords: in order, each once."""


class _Scoped(NamedTuple):
    """A schema within the whole, and the references that were followed to get there."""

    schema: Any
    followed: frozenset[str] = frozenset()


class _Flattening:
    """The flattening of one whole schema."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._nodes = 0
        self._referenced = 0

    def parameters(self) -> tuple[Schema, str]:
        merged = self._merge(_Scoped(self._root, frozenset({"#"})), 0)
        merged.pop("title", None)  # the function has a name
        for keyword in ("anyOf", "oneOf"):
            if isinstance(merged.get(keyword), list):
                _take_in(merged, [self._merge(branch, 1) for branch in merged[keyword]])
        flat, words = self._write(merged, 0, _SURVIVING_ON_TOP)
        if not isinstance(flat.get("type"), str):
            flat["type"] = "object"
        flat.setdefault("properties", {})
        return flat, words

    def _flatten(self, scoped: _Scoped, depth: int, name: str = "") -> Schema:
        if not self._room(depth):
            return {"description": _TOO_LARGE}
        merged = self._merge(scoped, depth)
        if _letters(merged.get("title")) == _letters(name):
            merged.pop("title", None)  # generated from the name, and says no more
        flat, words = self._write(merged, depth, _SURVIVING)
        return {**flat, "description": words} if words else flat

    def _room(self, depth: int) -> bool:
        self._nodes += 1
        return self._nodes <= MAX_NODES and depth <= MAX_DEPTH

    def _merge(self, scoped: _Scoped, depth: int) -> dict[str, Any]:
        """Return the keywords of a schema and of all that it refers to or consists of. Schemas in them are scoped."""
        schema, followed = scoped
        if schema is False:
            return _described(_NOTHING)
        if not isinstance(schema, dict):
            return {}
        merged = {key: _scope(key, value, followed) for key, value in schema.items() if key not in ("$ref", "allOf")}
        for part in self._parts(schema, followed):
            if not self._room(depth):
                _combine(merged, _described(_TOO_LARGE))
                break
            _combine(merged, self._merge(part, depth + 1))
        return merged

    def _parts(self, schema: Schema, followed: frozenset[str]) -> Iterator[_Scoped]:
        reference = schema.get("$ref")
        if isinstance(reference, str):
            if reference in followed:
                name = "the whole" if reference == "#" else f"{reference.rpartition('/')[2]} above"
                yield _Scoped({"type": "object", "description": f"(the same as {name})"})
            else:
                yield self._follow(reference, followed)
        parts = schema.get("allOf")
        for part in parts if isinstance(parts, list) else ():
            yield part if isinstance(part, _Scoped) else _Scoped(part, followed)

    def _follow(self, reference: str, followed: frozenset[str]) -> _Scoped:
        if self._referenced <= MAX_REFERENCED:
            target = self._resolve(reference)
            self._referenced += len(_text(target))
            if self._referenced <= MAX_REFERENCED:
                return _Scoped(target, followed | {reference})
        return _Scoped({"description": _TOO_LARGE})

    def _resolve(self, reference: str) -> Any:
        """Return what a JSON pointer within the whole schema points to (RFC 6901)."""
        found = self._root
        path = unquote(reference).split("/")
        for step in path[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and key.isdecimal() and int(key) < len(found):
                found = found[int(key)]
            elif isinstance(found, dict) and key in found:
                found = found[key]
            else:
                path[0] = "lost"
        return found if path[0] == "#" else {"description": f"(see {reference})"}

    def _write(self, merged: dict[str, Any], depth: int, surviving: frozenset[str]) -> tuple[Schema, str]:
        """Return merged keywords as a schema that survives, without a description, and what goes into that."""
        _say_with_survivors(merged)
        description = merged.pop("description", None)
        flat: Schema = {}
        notes = []
        for keyword, value in merged.items():
            kept = self._keep(keyword, value, depth) if keyword in surviving else None
            if kept is not None:
                flat[keyword] = kept
            elif keyword not in _SILENT:
                notes.append(f"{keyword}: {_compact(self._plain(value, depth))}")
        texts = description if isinstance(description, _Texts) else ()
        return flat, _join((*texts, f"({'; '.join(notes)})" if notes else ""))

    def _keep(self, keyword: str, value: Any, depth: int) -> Any:
        """Return the value of a surviving keyword; None for one that the host would refuse."""
        match keyword, value:
            case "type", str():
                return value
            case "type", list() if value and all(isinstance(name, str) for name in value):
                return value
            case "enum", list() if value:
                return value
            case "required", _Texts():
                return list(value)
            case "properties", dict():
                return {name: self._flatten(schema, depth + 1, name) for name, schema in value.items()}
            case "anyOf", list() if value:
                return [self._flatten(schema, depth + 1) for schema in value]
            case "items", _Scoped() | bool():
                return self._flatten(value if isinstance(value, _Scoped) else _Scoped(value), depth + 1)
            case _:
                return None

    def _plain(self, value: Any, depth: int) -> Any:
        """Return the value of a keyword with the schemas in it flattened."""
        match value:
            case _Scoped():
                return self._flatten(value, depth + 1)
            case list():
                return [self._flatten(member, depth + 1) if isinstance(member, _Scoped) else member for member in value]
            case dict():
                return {
                    name: self._flatten(member, depth + 1) if isinstance(member, _Scoped) else member
                    for name, member in value.items()
                }
            case _:
                return value


def _scope(keyword: str, value: Any, followed: frozenset[str]) -> Any:
    """Return the value of a keyword as it is merged: with the schemas in it scoped, and texts in a set of their own."""
    match value:
        case str() if keyword == "description":
            return _Texts.fromkeys([value])
        case list() if keyword == "required":
            return _Texts.fromkeys(name for name in value if isinstance(name, str))
        case dict() if keyword in _NAMED_SCHEMAS:
            return {name: _Scoped(schema, followed) for name, schema in value.items()}
        case dict() if keyword in _SCHEMAS:
            return _Scoped(value, followed)
        case list() if keyword in _SCHEMAS:
            return [schema if isinstance(schema, _Scoped) else _Scoped(schema, followed) for schema in value]
        case _:
            return value


def _combine(merged: dict[str, Any], part: dict[str, Any]) -> None:
    """Add the keywords of a part of a schema to those that are there."""
    for keyword, value in part.items():
        match keyword, merged.get(keyword), value:
            case "properties", dict(mine), dict():
                for name, schema in value.items():
                    mine[name] = _Scoped({"allOf": [mine[name], schema]}) if name in mine else schema
            case _, _Texts() as texts, _Texts():
                texts.update(value)
            case _:
                merged.setdefault(keyword, value)


def _take_in(merged: dict[str, Any], branches: list[dict[str, Any]]) -> None:
    """Add the properties of alternatives, since alternatives of a whole object do not survive."""
    found: dict[str, list[_Scoped]] = {}
    for branch in branches:
        properties = branch.get("properties")
        for name, schema in properties.items() if isinstance(properties, dict) else ():
            found.setdefault(name, []).append(schema)
    required = [branch.get("required") for branch in branches]
    part: dict[str, Any] = {
        "properties": {
            name: schemas[0] if len(schemas) == 1 else _Scoped({"anyOf": schemas}) for name, schemas in found.items()
        },
        "required": _Texts.fromkeys(
            name for name in found if all(isinstance(names, _Texts) and name in names for names in required)
        ),
    }
    _combine(merged, part)


def _say_with_survivors(merged: dict[str, Any]) -> None:
    """Say with surviving keywords what they can say of others."""
    if "const" in merged:
        merged["enum"] = [merged.pop("const")]
    if "oneOf" in merged and "anyOf" not in merged:
        merged["anyOf"] = merged.pop("oneOf")
    match merged:
        case {"nullable": True, "type": str(name)}:
            merged["type"] = [name, "null"]
        case {"nullable": True, "type": list(names)}:
            merged["type"] = [*names, "null"] if "null" not in names else names
        case {"nullable": True, "anyOf": list(schemas)}:
            merged["anyOf"] = [*schemas, _Scoped({"type": "null"})]
        case _:
            return
    del merged["nullable"]


def _described(text: str) -> dict[str, Any]:
    return {"description": _Texts.fromkeys([text])}


def _compact(value: Any) -> str:
    text = _text(value).decode()
    return text if len(text) <= _NOTE_LIMIT else text[:_NOTE_LIMIT] + "…"


def _text(value: Any) -> bytes:
    try:
        return _encode(value)
    except RecursionError:
        return "…".encode()


def _letters(text: Any) -> str:
    return "".join(filter(str.isalnum, text.casefold())) if isinstance(text, str) else ""


def _join(texts: Iterable[str]) -> str:
    return " ".join(filter(None, texts))

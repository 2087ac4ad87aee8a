"""What form an answer must have: OpenAI's `response_format` and Ollama's `format` (wire.md 4 and 1.4)."""

from __future__ import annotations

from typing import Any, Literal

from adapters.errors import InvalidRequest
from adapters.openai.fields import Fields, Ignored, check_depth, missing, not_among
from adapters.types import Schema

_FORMAT = frozenset({"type", "json_schema"})
_JSON_SCHEMA = frozenset({"name", "strict", "schema"})


def decode_response_format(request: Fields, ignored: Ignored) -> tuple[Literal["json"] | Schema | None, bool]:
    """Read the field `response_format`: the form of the answer, and whether it must be kept strictly.

    Raises:
        InvalidRequest: Its type is unknown, or a schema is announced and missing.
    """
    form = request.object("response_format")
    if form is None:
        return None, False
    for field in form.unknown(_FORMAT):
        ignored.add(form.at(field))
    match form.required_string("type"):
        case "text":
            return None, False
        case "json_object":
            return "json", False
        case "json_schema":
            return _decode_json_schema(form.required_object("json_schema"), ignored)
        case other:
            raise not_among(form.at("type"), other, ("text", "json_object", "json_schema"))


def decode_format(value: Any, path: str) -> Literal["json"] | Schema | None:
    """Read the extension `format`: `"json"`, a JSON Schema, or an empty text for no form at all.

    Raises:
        InvalidRequest: It is none of these.
    """
    if value == "json":
        return "json"
    if value == "":
        return None
    if isinstance(value, dict):
        check_depth(value, path)
        return value
    raise InvalidRequest(f"Invalid '{path}': expected 'json' or a JSON Schema object.", param=path)


def _decode_json_schema(json_schema: Fields, ignored: Ignored) -> tuple[Schema, bool]:
    for field in json_schema.unknown(_JSON_SCHEMA):
        ignored.add(json_schema.at(field))
    schema = json_schema.schema("schema")
    if schema is None:
        raise missing(json_schema.at("schema"))
    return schema, json_schema.boolean("strict") or False

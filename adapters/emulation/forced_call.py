"""A tool that must be called, by a model that did not call one (wire.md 4, `tool_choice`).

The model is asked a second time, without tools. They stand in the system text instead, and `format` leaves it nothing
else to write than a call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from adapters.types import ChatRequest, Message, Schema, Tool, ToolCall

_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Any]).decode

_ANYTHING: Schema = {"type": "object", "properties": {}}
_DATA = frozenset({"const", "enum", "default", "examples"})
"""Keywords whose values are data: what looks like a reference in there is none."""

_NAMED_SCHEMAS = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs", "definitions"})
"""Keywords whose values are schemas by name, and a name may be spelled as a keyword is."""

_SCHEMAS = frozenset({"anyOf", "oneOf", "allOf", "items", "prefixItems", "additionalItems", "contains"}) | {
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
}
"""Keywords whose value is a schema, or a list of schemas."""

_ANY: Schema = {"type": ["object", "array", "string", "number", "boolean", "null"]}
_NONE: Schema = {"type": "null", "not": {}}
"""What `true` and `false` say as schemas, written so that llama.cpp takes it. Its `{}` is any object, not any value."""


def ask_for_call(request: ChatRequest, remark: str = "") -> ChatRequest:
    """Return the request that makes a model call one of the tools of another request, by way of an answer in JSON.

    Args:
        request: What was asked.
        remark: What else the model must know.
    """
    text = _describe(request.tools)
    return replace(
        request,
        messages=_instruct(request.messages, f"{text}\n\n{remark}" if remark else text),
        tools=(),
        format=_schema(request.tools),
        stop=(),  # it would cut the JSON
        think=False,  # what it had to think it has thought at the first try
        think_param="",
        logprobs=False,
        top_logprobs=None,
    )


def read_call(text: str, tools: Sequence[Tool], call_id: str) -> ToolCall | None:
    """Return the call that an answer in JSON makes; None when it makes none of these tools."""
    try:
        said = _CALL.decode(text)
        _decode_object(said.parameters)
    except (msgspec.DecodeError, RecursionError):
        return None
    if said.name not in {tool.name for tool in tools}:
        return None
    return ToolCall(id=call_id, name=said.name, arguments=said.parameters)


class _Call(Struct):
    """A call as the model writes it.

    Hosts may sort the properties of a schema (wire.md 1.4), and a model should choose the tool before its arguments:
    so these names are in alphabetical order.
    """

    name: str
    parameters: Raw


_CALL = msgspec.json.Decoder(_Call)


def _instruct(messages: tuple[Message, ...], text: str) -> tuple[Message, ...]:
    """Return a conversation with more system text: at its beginning, where every template takes one."""
    first = messages[0]
    if first.role == "system":
        return (replace(first, text=f"{first.text}\n\n{text}"), *messages[1:])
    return (Message(role="system", text=text), *messages)


def _describe(tools: Sequence[Tool]) -> str:
    order = "Call this function now" if len(tools) == 1 else "Call one of these functions now"
    listed = "\n".join(_describe_one(tool) for tool in tools)
    return (
        f"{order}, with arguments that follow from the conversation. Answer with nothing but the call, in JSON: "
        f'{{"name": the name of the function, "parameters": an object with its arguments}}.\n\n{listed}'
    )


def _describe_one(tool: Tool) -> str:
    description = {"name": tool.name, "description": tool.description, "parameters": tool.parameters or _ANYTHING}
    return _encode(description).decode()


def _schema(tools: Sequence[Tool]) -> Schema:
    """Return the schema of a call of one of the tools.

    The schema of each tool's arguments stands among the definitions, and the references within it lead there.
    """
    calls: list[Schema] = [
        {
            "type": "object",
            "properties": {"name": {"const": tool.name}, "parameters": {"$ref": f"#/$defs/{place}"}},
            "required": ["name", "parameters"],
            "additionalProperties": False,
        }
        for place, tool in enumerate(tools)
    ]
    definitions = {
        str(place): _move(tool.parameters or _ANYTHING, f"#/$defs/{place}") for place, tool in enumerate(tools)
    }
    return {**(calls[0] if len(calls) == 1 else {"anyOf": calls}), "$defs": definitions}


def _move(value: Any, place: str) -> Any:
    """Return a part of a schema as it must read when the schema is no longer at the root of its document.

    What llama.cpp refuses is left out or put otherwise, since the caller did not ask for a `format`.
    """
    if isinstance(value, list):
        return [_move(item, place) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        keyword: _move_keyword(keyword, said, place)
        for keyword, said in value.items()
        if keyword != "pattern" or _is_whole(said)
    }


def _move_keyword(keyword: str, value: Any, place: str) -> Any:
    match value:
        case _ if keyword in _DATA:
            return value
        case dict() if keyword in _NAMED_SCHEMAS:
            return {name: _move_schema(schema, place) for name, schema in value.items()}
        case list() if keyword in _SCHEMAS:
            return [_move_schema(schema, place) for schema in value]
        case _ if keyword in _SCHEMAS:
            return _move_schema(value, place)
        case str() if keyword == "$ref" and (value == "#" or value.startswith("#/")):
            return place + value[1:]
        case _:
            return _move(value, place)


def _move_schema(schema: Any, place: str) -> Any:
    if isinstance(schema, bool):
        return _ANY if schema else _NONE
    return _move(schema, place)


def _is_whole(pattern: Any) -> bool:
    """Whether a pattern is one of a whole text: llama.cpp takes no others."""
    return isinstance(pattern, str) and pattern.startswith("^") and pattern.endswith("$")

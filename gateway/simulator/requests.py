"""The requests of the native API, read as Ollama reads them (wire.md 1.4, 1.7, 1.9): a table per struct says how."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from gateway.simulator import golang
from gateway.simulator.answers import Refusal
from gateway.simulator.model import Message, Tool, ToolCall
from gateway.simulator.readers import Reader, anything, boolean, fields, integer, list_of, mapping, mismatch, string
from gateway.simulator.tool_schema import NO_PARAMETERS, read_parameters


class Settings(Struct, frozen=True, kw_only=True):
    """The fields that chat and generate share. What was not sent is None where that means something.

    Attributes:
        format: The JSON value of `format`; None when there is none.
        keep_alive: Seconds; infinite for ever.
        options: The options, unchecked.
        render_only: Whether the prompt is wanted instead of an answer (`_debug_render_only`).
    """

    model: str = ""
    stream: bool = True
    format: Any = None
    keep_alive: float | None = None
    options: dict[str, Any] = {}
    think: bool | str | None = None
    truncate: bool = True
    shift: bool = True
    render_only: bool = False
    logprobs: bool = False
    top_logprobs: int = 0


class ChatRequest(Settings, frozen=True, kw_only=True):
    """A request to `/api/chat`."""

    messages: tuple[Message, ...] = ()
    tools: tuple[Tool, ...] = ()


class GenerateRequest(Settings, frozen=True, kw_only=True):
    """A request to `/api/generate`."""

    prompt: str = ""
    suffix: str = ""
    system: str = ""
    template: str = ""
    context: tuple[int, ...] | None = None
    raw: bool = False
    images: tuple[str, ...] = ()


class EmbedRequest(Struct, frozen=True, kw_only=True):
    """A request to `/api/embed` (`input`) or `/api/embeddings` (`prompt`)."""

    model: str = ""
    input: Any = None
    prompt: str = ""
    keep_alive: float | None = None
    options: dict[str, Any] = {}
    truncate: bool = True
    dimensions: int = 0


class ShowRequest(Struct, frozen=True, kw_only=True):
    """A request to `/api/show`; `name` is the old spelling of `model`."""

    model: str = ""
    name: str = ""
    system: str = ""


# --- readers of single fields -----------------------------------------------------------------------------------------


def _keep_alive(value: Any, _place: str) -> float:
    match value:
        case bool() | list() | dict():
            go_type = {bool: "bool", list: "[]interface {}", dict: "map[string]interface {}"}[type(value)]
            raise Refusal(400, f"Unsupported type: '{go_type}'")
        case str():
            seconds = golang.parse_duration(value)
        case _:
            seconds = float(value)
    return golang.FOREVER if seconds < 0 else seconds


_LEVELS = '"high", "medium", "low", "max", true, or false'


def _think(value: Any, _place: str) -> bool | str:
    match value:
        case bool() | "high" | "medium" | "low" | "max":
            return value
        case str():
            raise Refusal(400, f"invalid think value: {golang.quote(value)} (must be {_LEVELS})")
        case _:
            raise Refusal(400, f"think must be a boolean or string ({_LEVELS})")


_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/=\r\n]")


def _image(value: Any, place: str) -> str:
    """Check standard base64 with padding."""
    text: str = string(value, place)
    wrong = _NOT_BASE64.search(text)
    length = len(text) - text.count("\r") - text.count("\n")
    if wrong or length % 4:
        raise Refusal(400, f"illegal base64 data at input byte {wrong.start() if wrong else length - length % 4}")
    return text


_images = list_of("[]api.ImageData", _image)


def _arguments(value: Any, _place: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise Refusal(400, "Value looks like object, but can't find closing '}' symbol")


_CALLED: dict[str, Reader] = {"index": integer, "name": string, "arguments": _arguments}


def _tool_call(value: Any, place: str) -> ToolCall:
    call = fields(value, place, "api.ToolCall", {"id": string, "function": anything})
    called = fields(call.get("function", {}), f"{place}.function", "api.ToolCallFunction", _CALLED)
    return ToolCall(called.get("name", ""), called.get("arguments", {}), call.get("id", ""))


_MESSAGE: dict[str, Reader] = {
    "role": string,
    "content": string,
    "thinking": string,
    "images": _images,
    "tool_calls": list_of("[]api.ToolCall", _tool_call),
    "tool_name": string,
    "tool_call_id": string,
}


def _message(value: Any, place: str) -> Message:
    message = fields(value, place, "api.Alias", _MESSAGE)
    return Message(**{**message, "role": message.get("role", "").lower()})


messages = list_of("[]api.Message", _message)
"""The reader of a conversation."""

_FUNCTION: dict[str, Reader] = {"name": string, "description": string, "parameters": read_parameters}


def _tool(value: Any, place: str) -> Tool:
    tool = fields(value, place, "api.Tool", {"type": string, "function": anything})
    function = fields(tool.get("function", {}), f"{place}.function", "api.ToolFunction", _FUNCTION)
    return Tool(
        name=function.get("name", ""),
        description=function.get("description", ""),
        parameters=function.get("parameters", NO_PARAMETERS),
        type=tool.get("type", ""),
    )


# --- the requests -----------------------------------------------------------------------------------------------------

_SETTINGS: dict[str, Reader] = {
    "model": string,
    "stream": boolean,
    "format": anything,
    "keep_alive": _keep_alive,
    "options": mapping,
    "think": _think,
    "truncate": boolean,
    "shift": boolean,
    "_debug_render_only": boolean,
    "logprobs": boolean,
    "top_logprobs": integer,
}
_CHAT = _SETTINGS | {"messages": messages, "tools": list_of("api.Tools", _tool)}
_GENERATE = _SETTINGS | {
    "prompt": string,
    "suffix": string,
    "system": string,
    "template": string,
    "context": list_of("[]int", integer),
    "raw": boolean,
    "images": _images,
}
_EMBED: dict[str, Reader] = {
    "model": string,
    "input": anything,
    "keep_alive": _keep_alive,
    "options": mapping,
    "truncate": boolean,
    "dimensions": integer,
}
_EMBEDDINGS: dict[str, Reader] = {"model": string, "prompt": string, "keep_alive": _keep_alive, "options": mapping}
_SHOW: dict[str, Reader] = {"model": string, "name": string, "system": string}


def read(body: bytes, struct: str, table: Mapping[str, Reader]) -> dict[str, Any]:
    """Return the known fields of a body.

    Args:
        body: The body.
        struct: What Go calls its type.
        table: The readers of its fields.

    Raises:
        Refusal: 400, as Ollama words it.
    """
    try:
        value = golang.decode(body)
        if not isinstance(value, dict):
            raise mismatch(value, "", f"api.{struct}")
        return fields(value, struct, struct, table)
    except golang.DecodeError as error:
        raise Refusal(400, str(error)) from error


def _read_settings(body: bytes, struct: str, table: Mapping[str, Reader]) -> dict[str, Any]:
    known = read(body, struct, table)
    known["render_only"] = known.pop("_debug_render_only", False)
    if known.get("format") == "":
        del known["format"]
    if not 0 <= known.get("top_logprobs", 0) <= 20:
        raise Refusal(400, "top_logprobs must be between 0 and 20")
    return known


def read_chat(body: bytes) -> ChatRequest:
    """Read a request to `/api/chat`.

    Raises:
        Refusal: 400, as Ollama words it.
    """
    return ChatRequest(**_read_settings(body, "ChatRequest", _CHAT))


def read_generate(body: bytes) -> GenerateRequest:
    """Read a request to `/api/generate`.

    Raises:
        Refusal: 400, as Ollama words it.
    """
    return GenerateRequest(**_read_settings(body, "GenerateRequest", _GENERATE))


def read_embed(body: bytes) -> EmbedRequest:
    """Read a request to `/api/embed`.

    Raises:
        Refusal: 400, as Ollama words it.
    """
    return EmbedRequest(**read(body, "EmbedRequest", _EMBED))


def read_embeddings(body: bytes) -> EmbedRequest:
    """Read a request to `/api/embeddings`.

    Raises:
        Refusal: 400, as Ollama words it.
    """
    return EmbedRequest(**read(body, "EmbeddingRequest", _EMBEDDINGS))


def read_show(body: bytes) -> ShowRequest:
    """Read a request to `/api/show`.

    Raises:
        Refusal: 400, as Ollama words it.
    """
    return ShowRequest(**read(body, "ShowRequest", _SHOW))

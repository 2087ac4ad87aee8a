"""The functions that a model may call (wire.md 4, `tools` and `tool_choice`)."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

from adapters.errors import InvalidRequest
from adapters.openai.fields import Fields, Ignored, missing, not_among, not_supported, shown, wrong_type
from adapters.types import Tool

Choice: TypeAlias = Literal["auto", "none", "required", "named"]

_TOOL = frozenset({"type", "function", "cache_control"})
_FUNCTION = frozenset({"name", "description", "parameters", "strict"})


class Tools(Struct, frozen=True, kw_only=True):
    """What a request says of tools.

    Attributes:
        tools: The functions that the model gets to see: those that the caller's choice leaves.
        choice: Whether it may, must not, or must call; as in `ChatRequest.tool_choice`.
        parallel: Whether an answer may have more than one call.
        legacy: Whether the request speaks of `functions`.
    """

    tools: tuple[Tool, ...] = ()
    choice: Choice = "auto"
    parallel: bool = True
    legacy: bool = False


_FIELDS = frozenset({"tools", "tool_choice", "parallel_tool_calls", "functions", "function_call"})
_NO_TOOLS = Tools()


def decode_tools(request: Fields, ignored: Ignored) -> Tools:
    """Read `tools`, `tool_choice` and `parallel_tool_calls`, or the legacy `functions` and `function_call`.

    With the choice `none` the model is not told of any tool.

    Raises:
        InvalidRequest: A tool cannot be read or is not a function, the choice asks for one that is not there, or the
            request mixes the two ways to speak of tools.
    """
    if request.has_none(_FIELDS):
        return _NO_TOOLS
    tools = tuple(_decode_tool(tool, ignored) for tool in request.objects("tools"))
    functions = tuple(_decode_function(each, "functions[]", ignored) for each in request.objects("functions"))
    parallel = request.boolean("parallel_tool_calls")
    legacy = "functions" if functions else "function_call" if request.get("function_call") is not None else ""
    if legacy:
        current = "tools" if tools else "tool_choice" if request.get("tool_choice") is not None else ""
        if current:
            raise InvalidRequest(f"'{legacy}' and '{current}' exclude each other. Use 'tools'.", param=legacy)
        choice, functions = _decode_function_call(request, functions)
        return Tools(tools=functions, choice=choice, parallel=False, legacy=True)
    choice, tools = _decode_choice(request, tools)
    return Tools(tools=tools, choice=choice, parallel=parallel is not False)


def _decode_tool(tool: Fields, ignored: Ignored) -> Tool:
    kind = tool.required_string("type")
    if kind != "function":
        message = f"Unsupported tool type: '{shown(kind)}'. Only functions are supported."
        raise not_supported(tool.at("type"), message)
    for field in tool.unknown(_TOOL):
        ignored.add(f"tools[].{field}")
    return _decode_function(tool.required_object("function"), "tools[].function", ignored)


def _decode_function(function: Fields, place: str, ignored: Ignored) -> Tool:
    for field in function.unknown(_FUNCTION):
        ignored.add(f"{place}.{field}")
    # OpenAI allows only letters, digits, _ and - in a name. Hosts have no such rule, and the names of MCP servers have
    # dots, colons and slashes in them.
    return Tool(
        name=function.required_text("name"),
        description=function.string("description") or "",
        parameters=function.schema("parameters"),
        strict=function.boolean("strict") or False,
    )


def _decode_choice(request: Fields, tools: tuple[Tool, ...]) -> tuple[Choice, tuple[Tool, ...]]:
    """Return what `tool_choice` demands, and the tools that it leaves."""
    match request.get("tool_choice"):
        case None | "auto":
            return "auto", tools
        case "none":
            return "none", ()
        case "required":
            return _require(tools)
        case str() as word:
            raise not_among("tool_choice", word, ("auto", "none", "required"))
        case dict() as values:
            return _decode_selection(Fields(values, "tool_choice"), tools)
        case other:
            raise wrong_type("tool_choice", "a string or an object", other)


def _decode_selection(choice: Fields, tools: tuple[Tool, ...]) -> tuple[Choice, tuple[Tool, ...]]:
    match choice.required_string("type"):
        case "function":
            return "named", (_find(_named(choice), _by_name(tools)),)
        case "allowed_tools":
            place = choice if choice.get("allowed_tools") is None else choice.required_object("allowed_tools")
            if place.get("tools") is None:
                raise missing(place.at("tools"))
            known = _by_name(tools)
            names = {_find(_named(tool), known).name for tool in place.objects("tools")}
            left = tuple(tool for tool in tools if tool.name in names)
            match place.string("mode"):
                case None | "auto":
                    return "auto", left
                case "required":
                    return _require(left)
                case mode:
                    raise not_among(place.at("mode"), mode, ("auto", "required"))
        case kind:
            raise not_among(choice.at("type"), kind, ("function", "allowed_tools"))


def _decode_function_call(request: Fields, tools: tuple[Tool, ...]) -> tuple[Choice, tuple[Tool, ...]]:
    """Return what the legacy `function_call` demands, and the functions that it leaves."""
    match request.get("function_call"):
        case None | "auto":
            return "auto", tools
        case "none":
            return "none", ()
        case str() as word:
            raise not_among("function_call", word, ("auto", "none"))
        case dict() as values:
            return "named", (_find(Fields(values, "function_call"), _by_name(tools), "functions"),)
        case other:
            raise wrong_type("function_call", "a string or an object", other)


def _named(choice: Fields) -> Fields:
    """Return where a function's name stands: in an object, or beside the type, as in the Responses API."""
    if choice.get("function") is None and choice.get("name") is not None:
        return choice
    return choice.required_object("function")


def _by_name(tools: tuple[Tool, ...]) -> dict[str, Tool]:
    """Return the tools by their names; of two with one name the first."""
    return {tool.name: tool for tool in reversed(tools)}


def _find(place: Fields, tools: dict[str, Tool], where: str = "tools") -> Tool:
    name = place.required_text("name")
    if name not in tools:
        message = f"Invalid value: '{shown(name)}' is not the name of one of the '{where}'."
        raise InvalidRequest(message, param=place.at("name"))
    return tools[name]


def _require(tools: tuple[Tool, ...]) -> tuple[Choice, tuple[Tool, ...]]:
    if not tools:
        raise InvalidRequest("Invalid 'tool_choice': a call is required, but there are no tools.", param="tool_choice")
    return "required", tools

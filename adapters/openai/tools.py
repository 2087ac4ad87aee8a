"""The functions that a model may call (wire.md 4, `tools` and `tool_choice`)."""

from __future__ import annotations

from adapters.openai.fields import Fields, Ignored, not_among, not_supported, shown, wrong_type
from adapters.types import Tool

_TOOL = frozenset({"type", "function", "cache_control"})
_FUNCTION = frozenset({"name", "description", "parameters", "strict"})


def decode_tools(request: Fields, ignored: Ignored) -> tuple[Tool, ...]:
    """Read `tools` together with `tool_choice` and `parallel_tool_calls`.

    With `tool_choice: "none"` the model is not told of any tool, and so cannot call one.

    Raises:
        InvalidRequest: A tool cannot be read or is not a function, or the choice cannot be honoured.
    """
    tools = tuple(_decode_tool(tool, ignored) for tool in request.objects("tools"))
    wanted = _decode_choice(request)
    parallel = request.boolean("parallel_tool_calls")
    if not wanted:
        return ()
    if tools and parallel is False:
        ignored.add("parallel_tool_calls")
    return tools


def _decode_tool(tool: Fields, ignored: Ignored) -> Tool:
    kind = tool.required_string("type")
    if kind != "function":
        message = f"Unsupported tool type: '{shown(kind)}'. Only functions are supported."
        raise not_supported(tool.at("type"), message)
    function = tool.required_object("function")
    for field in tool.unknown(_TOOL):
        ignored.add(f"tools[].{field}")
    for field in function.unknown(_FUNCTION):
        ignored.add(f"tools[].function.{field}")
    # OpenAI allows only letters, digits, _ and - in a name. Hosts have no such rule, and the names of MCP servers have
    # dots, colons and slashes in them.
    return Tool(
        name=function.required_text("name"),
        description=function.string("description") or "",
        parameters=function.schema("parameters"),
    )


def _decode_choice(request: Fields) -> bool:
    """Return whether the model gets to see the tools."""
    match request.get("tool_choice"):
        case None | "auto":
            return True
        case "none":
            return False
        case "required" | dict():
            message = "tool_choice can be 'auto' or 'none'. A call of a tool cannot be forced, nor the choice narrowed."
            raise not_supported("tool_choice", message)
        case str() as word:
            raise not_among("tool_choice", word, ("auto", "none"))
        case other:
            raise wrong_type("tool_choice", "a string or an object", other)

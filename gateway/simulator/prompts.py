"""How a conversation becomes a prompt: ChatML, as Ollama's own templates and as a Jinja template inside the file do it.

The two paths differ (wire.md 1.4). Where Ollama renders, system texts come first, messages of one role in a row are
merged, unknown roles are dropped, and old thoughts are kept. Where llama-server renders, every message is a turn.
"""

from __future__ import annotations

import json
from typing import Any

from msgspec.structs import replace

from gateway.simulator.golang import encode
from gateway.simulator.model import Message, SimulatedModel, Tool
from gateway.simulator.templates import fill as fill_template
from gateway.simulator.templates import is_plain

_ROLES = ("user", "assistant", "tool")


def render(
    model: SimulatedModel, messages: tuple[Message, ...], tools: tuple[Tool, ...] = (), think: bool | str = False
) -> str:
    """Return the prompt for a conversation: with the model's cue at its end, or by a plain template of its own."""
    if model.path == "rendered" and is_plain(model.template):
        return fill_template(model.template, _merge(messages))
    text = _native(messages, tools) if model.path == "native" else _rendered(model, _merge(messages), tools)
    return text + model.cue(messages, tools, think)


def _turn(role: str, content: str) -> str:
    return f"<|im_start|>{role}\n{content}<|im_end|>\n"


def _rendered(model: SimulatedModel, messages: list[Message], tools: tuple[Tool, ...]) -> str:
    system = "\n\n".join(message.content for message in messages if message.role == "system")
    parts = [_turn("system", system)] if system else []
    if tools:
        parts.append(_turn("tools", encode([_tool(tool) for tool in tools]).decode()))
    for message in messages:
        if message.role in _ROLES:
            last = message is messages[-1] and message.role == "assistant"
            parts.append(_turn(message.role, _content(model, message)).removesuffix("<|im_end|>\n" if last else ""))
    if messages and messages[-1].role != "assistant":
        parts.append("<|im_start|>assistant\n")
    return "".join(parts)


def _merge(messages: tuple[Message, ...]) -> list[Message]:
    """Put messages of one role in a row into one, with a blank line between them; results of tools stay apart."""
    merged: list[Message] = []
    for message in messages:
        if merged and merged[-1].role == message.role != "tool":
            merged[-1] = replace(merged[-1], content=f"{merged[-1].content}\n\n{message.content}")
        else:
            merged.append(message)
    return merged


def _content(model: SimulatedModel, message: Message) -> str:
    thoughts = f"<think>{message.thinking}</think>\n" if message.thinking and model.can("thinking") else ""
    calls = "".join(
        f'\n{{"name": "{call.name}", "arguments": {encode(call.arguments).decode()}}}' for call in message.tool_calls
    )
    return thoughts + message.content + (f"<tool_call>{calls}\n</tool_call>" if calls else "")


def _native(messages: tuple[Message, ...], tools: tuple[Tool, ...]) -> str:
    parts = [_turn("tools", json.dumps([_tool(tool) for tool in tools], ensure_ascii=False))] if tools else []
    for message in messages:
        calls = json.dumps(
            [{"name": call.name, "arguments": encode(call.arguments).decode()} for call in message.tool_calls]
        )
        content = message.content + (f"<tool_call>{calls}</tool_call>" if message.tool_calls else "")
        parts.append(_turn(message.role, content))
    if messages and messages[-1].role == "assistant":
        parts[-1] = parts[-1].removesuffix("<|im_end|>\n")
    else:
        parts.append("<|im_start|>assistant\n")
    return "".join(parts)


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    return {"type": tool.type, "function": {**function, "parameters": tool.parameters}}


def tag_images(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Return a conversation with a tag in the text for every image, as Ollama writes it where it renders."""
    tagged, count = [], 0
    for message in messages:
        numbers = range(count, count + len(message.images))
        count += len(message.images)
        tags = "".join(f"[img-{number}]" for number in numbers)
        tagged.append(replace(message, content=tags + message.content) if tags else message)
    return tuple(tagged)


def fit(
    model: SimulatedModel,
    messages: tuple[Message, ...],
    tools: tuple[Tool, ...],
    think: bool | str,
    room: int,
) -> tuple[Message, ...]:
    """Return the end of a conversation that fits into a context: system messages and at least the last one stay."""
    kept = messages
    for start in range(len(messages)):
        kept = tuple(message for message in messages[:start] if message.role == "system") + messages[start:]
        if len(model.split(render(model, kept, tools, think))) <= room:
            break
    return kept

"""The model `demo`: chat, tools, structured answers and embeddings, so that a first run needs no real model.

Nobody shall take it for one. It says that it is a simulation, and repeats what it was told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from gateway.simulator.json_schema import SchemaError, check, instance
from gateway.simulator.model import Message, Prompt, SimulatedModel, Token, Tool, tokens_of

_GREETING = "This is the demo model of ollama-gateway: a simulation, not a language model."

_WORD = re.compile(r"\w{3,}")

_COMMON = frozenset(
    {"and", "are", "ask", "can", "for", "from", "get", "give", "how", "its", "not", "return", "returns"}
)
_COMMON |= {"that", "the", "this", "use", "what", "with", "you"}
"""Words that say nothing about what a tool is for."""


def speak(prompt: Prompt) -> Iterable[Token]:
    """Answer a prompt."""
    return tokens_of(_thoughts(prompt) + _answer(prompt))


def _thoughts(prompt: Prompt) -> str:
    last = prompt.messages[-1] if prompt.messages else Message("user")
    if not prompt.think or last.thinking:
        return ""
    return "<think>\nI am a simulation, so there is nothing to think about: I repeat what I was told.\n</think>\n\n"


def _answer(prompt: Prompt) -> str:
    last = prompt.messages[-1] if prompt.messages else Message("user", prompt.text)
    if prompt.format == "json":
        return json.dumps({"model": "demo", "simulated": True, "you_said": prompt.question}, ensure_ascii=False)
    if isinstance(prompt.format, dict):
        return json.dumps(instance(prompt.format, "simulated"), ensure_ascii=False)
    if last.role == "tool":
        tool = f"The tool {last.tool_name}" if last.tool_name else "The tool"
        return f"{_GREETING} {tool} said: {last.content}"
    if (tool_wanted := _choose(prompt.tools, prompt.question)) is not None:
        call = {"name": tool_wanted.name, "arguments": _arguments(tool_wanted, prompt.question)}
        return f"<tool_call>\n{json.dumps(call, ensure_ascii=False)}\n</tool_call>"
    seen = sum(len(message.images) for message in prompt.messages)
    images = f" You sent {seen} image{'s' if seen > 1 else ''}, which I do not look at." if seen else ""
    said = f" You said: {prompt.question}" if prompt.question else ""
    return f"{_GREETING}{images}{said}"


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text.replace("_", " "))} - _COMMON


def _choose(tools: tuple[Tool, ...], question: str) -> Tool | None:
    """Return the tool that a question asks for: by its name, by a word of its description, or as "tool"."""
    asked = _words(question)
    for tool in tools:
        if tool.name.lower() in question.lower() or asked & (_words(tool.name) | _words(tool.description)):
            return tool
    return tools[0] if tools and asked & {"tool", "tools"} else None


def _arguments(tool: Tool, question: str) -> dict[str, Any]:
    """Make arguments that fit the schema; texts are the question's last word with a capital letter."""
    names = [word for word in _WORD.findall(question)[1:] if word[0].isupper()]
    schema = {"type": "object", "properties": tool.parameters.get("properties") or {}}
    try:
        check(schema)
    except SchemaError:
        return {}
    arguments: dict[str, Any] = instance(
        schema | {"$defs": tool.parameters.get("$defs")}, names[-1] if names else "demo"
    )
    return arguments


demo = SimulatedModel(
    name="demo:latest",
    speak=speak,
    capabilities=("completion", "tools", "vision", "embedding"),
    parameter_size="0",
    quantization="none",
    size=1,
    embedding_length=64,
)
"""The demo model. To use it under other names: `named("llama3.2", "qwen3:8b")`."""

demo_thinking = replace(demo, name="demo-thinking:latest", capabilities=(*demo.capabilities, "thinking"))
"""The same, and it thinks before it answers, if only for show."""


def named(*names: str) -> tuple[SimulatedModel, ...]:
    """Return copies of the demo model under other names.

    Raises:
        ValueError: A name is malformed.
    """
    models = tuple(replace(demo, name=name) for name in names)
    for model in models:
        _ = model.full_name
    return models

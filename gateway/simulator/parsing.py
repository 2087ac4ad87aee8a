"""What Ollama makes of a model's text: thoughts and calls of tools taken out of it, as its own parsers do.

A parser is made for one answer. `add` takes the next text and returns what a frame says of it; None when there is no
frame, and an empty `Delta` when there is one only if it carries log probabilities (wire.md 1.5).
"""

from __future__ import annotations

import json
import re
from typing import Any, Protocol

from msgspec import Struct

from gateway.simulator.answers import Refusal
from gateway.simulator.finding import Call, Thoughts, ToolCalls, overlap


class Delta(Struct, frozen=True):
    """What a frame adds to an answer."""

    content: str = ""
    thinking: str = ""
    calls: tuple[Call, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.content or self.thinking or self.calls)


class Parser(Protocol):
    """Takes an answer's text apart."""

    def add(self, text: str, *, done: bool = False) -> Delta | None:
        """Take the next text, or learn that there is no more.

        Raises:
            Refusal: The text is broken beyond what the parser forgives.
        """
        ...


class TagParser:
    """The rendered path: thoughts between tags, and each call of a tool as soon as it is whole."""

    def __init__(self, thoughts: Thoughts | None, tools: ToolCalls | None) -> None:
        self._thoughts = thoughts
        self._tools = tools

    def add(self, text: str, *, done: bool = False) -> Delta | None:
        """See `Parser`."""
        thinking = ""
        if self._thoughts is not None:
            thinking, text = self._thoughts.add(text)
            if not (thinking or text or done):
                return None
        if self._tools is None:
            return Delta(text, thinking)
        content, calls = self._tools.add(text)
        if content or calls or thinking:
            return Delta(content, thinking, () if content else calls)
        return Delta(self._tools.rest() if done else "")


_RECIPIENT = re.compile(r".* to=(?:functions\.)?([^\s<]*).*", re.DOTALL)


class HarmonyParser:
    """The harmony format of gpt-oss: messages with a header that says on which channel they go.

    A call of a tool comes with the end of the answer.
    """

    def __init__(self) -> None:
        self._held = "<|start|>assistant"
        self._header: str | None = None
        self._tool = ""
        self._arguments = ""

    def add(self, text: str, *, done: bool = False) -> Delta | None:
        """See `Parser`."""
        self._held += text
        content, thinking = "", ""
        while (part := self._next_part()) is not None:
            header, words = part
            if " to=" in header:
                self._tool = _RECIPIENT.sub(r"\1", header)
                self._arguments += words
            elif "<|channel|>analysis" in header:
                thinking += words
            else:
                content += words
        calls: tuple[Call, ...] = ()
        if done and self._tool:
            calls = (Call(self._tool, self._parse_arguments(), 0),)
        return Delta(content, thinking, calls)

    def _next_part(self) -> tuple[str, str] | None:
        """Return the next words with the header of their message."""
        if self._header is None:
            _, start, rest = self._held.partition("<|start|>")
            header, end, words = rest.partition("<|message|>")
            if not start or not end:
                return None
            self._header, self._held = header, words
        words, end, rest = self._held.partition("<|end|>")
        header = self._header
        if end:
            self._header, self._held = None, rest
            return header, words
        length = overlap(self._held, "<|end|>")
        words, self._held = words[: len(words) - length], words[len(words) - length :]
        return (header, words) if words else None

    def _parse_arguments(self) -> dict[str, Any]:
        try:
            arguments = json.loads(self._arguments)
        except json.JSONDecodeError as error:
            text = f"error parsing tool call: raw='{self._arguments}', err=unexpected end of JSON input"
            raise Refusal(500, text) from error
        return arguments if isinstance(arguments, dict) else {}


class NativeParser:
    """The native path, where llama-server takes the text apart: no space around thoughts, all calls at the end."""

    _TAG = "<tool_call>"

    def __init__(self, *, thinks: bool, tools: bool) -> None:
        self._thoughts = Thoughts() if thinks else None
        self._tools = tools
        self._thought_space = ""
        self._held = ""
        self._first = True

    def add(self, text: str, *, done: bool = False) -> Delta | None:
        """See `Parser`."""
        thinking, content = self._thoughts.add(text) if self._thoughts is not None else ("", text)
        thinking = self._thought_space + thinking
        self._thought_space = thinking[len(thinking.rstrip()) :]
        thinking = thinking.rstrip()
        if self._tools:
            content = self._outside_calls(content)
        delta = Delta(content, thinking, self._calls() if done else ())
        # llama-server's first chunk carries the role, and with it log probabilities when there is no text yet.
        first, self._first = self._first, False
        return delta if delta or first or done else None

    def _outside_calls(self, text: str) -> str:
        """Return what is surely text: what stands before a call, without the space between."""
        if self._TAG in self._held:
            self._held += text
            return ""
        content, tag, rest = (self._held + text).partition(self._TAG)
        length = 0 if tag else overlap(content, self._TAG)
        before = content[: len(content) - length]
        said = before.rstrip()
        self._held = before[len(said) :] + content[len(content) - length :] + tag + rest
        return said

    def _calls(self) -> tuple[Call, ...]:
        blocks = self._held.split(self._TAG)[1:]
        return tuple(Call(*_read_call(block), index) for index, block in enumerate(blocks))


_NAME = re.compile(r'"name":\s*"([^"]*)"')


def _read_call(block: str) -> tuple[str, dict[str, Any]]:
    try:
        call, _ = json.JSONDecoder().raw_decode(block.lstrip())
    except json.JSONDecodeError as error:
        name = _NAME.search(block)
        text = f'llama-server returned invalid tool call arguments for "{name[1] if name else ""}": '
        raise Refusal(500, text + "unexpected end of JSON input") from error
    return (call.get("name", ""), call.get("arguments", {})) if isinstance(call, dict) else ("", {})

"""Finding thoughts and calls of tools in a text that comes in pieces."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from gateway.simulator.model import Tool


class Call(Struct, frozen=True):
    """A call of a tool: its name, its arguments, and its place in the answer."""

    name: str
    arguments: dict[str, Any]
    index: int


def overlap(text: str, tag: str) -> int:
    """Return how many characters at the end of a text may be the beginning of a tag."""
    return next((length for length in range(min(len(text), len(tag)), 0, -1) if text.endswith(tag[:length])), 0)


class Thoughts:
    """Parts thoughts between two tags from the content after them; space after each tag is dropped."""

    def __init__(self, opening: str = "<think>", closing: str = "</think>") -> None:
        self._opening = opening
        self._closing = closing
        self._held = ""
        self._state = self._before

    def add(self, text: str) -> tuple[str, str]:
        """Return the thoughts and the content that are certain now."""
        self._held += text
        return self._state()

    def _before(self) -> tuple[str, str]:
        text = self._held.lstrip()
        if text.startswith(self._opening):
            self._held = text.removeprefix(self._opening)
            self._state = self._opened
        elif self._opening.startswith(text):
            return "", ""
        else:
            self._state = self._after
        return self._state()

    def _opened(self) -> tuple[str, str]:
        self._held = self._held.lstrip()
        if not self._held:
            return "", ""
        self._state = self._inside
        return self._inside()

    def _inside(self) -> tuple[str, str]:
        thought, tag, rest = self._held.partition(self._closing)
        if tag:
            self._held = rest
            self._state = self._closed
            return thought, self._closed()[1]
        length = overlap(self._held, self._closing)
        self._held = self._closing[:length]
        return thought.removesuffix(self._held), ""

    def _closed(self) -> tuple[str, str]:
        self._held = self._held.lstrip()
        if self._held:
            self._state = self._after
        return self._after()

    def _after(self) -> tuple[str, str]:
        content, self._held = self._held, ""
        return "", content


class ToolCalls:
    """Finds calls of the offered tools after a tag. What follows the tag and is no such call is swallowed."""

    def __init__(self, tools: Sequence[Tool], tag: str) -> None:
        self._names = [tool.name for tool in tools]
        self._tag = tag
        self._bare = tag in ("{", "[")
        self._held = ""
        self._calling = False
        self._over = False
        self._count = 0

    def add(self, text: str) -> tuple[str, tuple[Call, ...]]:
        """Return the content and the calls that are certain now."""
        if self._over:
            return text, ()
        self._held += text
        content = ""
        if not self._calling:
            content = self._before_tag()
            if self._bare and content.strip():
                # Bare JSON is a call only when nothing stands before it.
                self._over = True
                content, self._held = content + self._held, ""
            if self._over or not self._calling:
                return content, ()
        calls = tuple(self._calls())
        if self._bare and any(True for _ in _objects(self._held)):
            self._over = True
            content, self._held = self._held, ""
        return content, calls

    def rest(self) -> str:
        """Return what is still held back at the end of the answer."""
        return self._held if self._bare and not self._count else ""

    def _before_tag(self) -> str:
        content, tag, rest = self._held.partition(self._tag)
        self._calling = bool(tag)
        length = 0 if tag else overlap(content, self._tag)
        self._held = tag + rest if tag else self._tag[:length]
        return content[: len(content) - length]

    def _calls(self) -> Iterator[Call]:
        while (found := self._next_call()) is not None:
            name, arguments, end = found
            self._held = self._held[end:]
            yield Call(name, arguments, self._count)
            self._count += 1

    def _next_call(self) -> tuple[str, dict[str, Any], int] | None:
        """Return the next whole call and the place where it ends."""
        if any(0 < overlap(self._held, name) < len(name) for name in self._names):
            return None  # the text may end in the middle of a longer name
        places = [(self._held.find(name), -len(name), name) for name in self._names if name and name in self._held]
        first = next(_objects(self._held), None)
        if not places or first is None:
            return None
        start, _, name = min(places)
        arguments = _arguments(first[0], name)
        return None if arguments is None else (name, arguments, max(first[1], start + len(name)))


def _objects(text: str) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield the whole JSON objects in a text, each with the place of its last brace."""
    depth, start = 0, -1
    quoted = escaped = False
    for place, character in enumerate(text):
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif character == "{":
            start = place if depth == 0 else start
            depth += 1
        elif character == "}":
            depth = max(depth - 1, 0)
            if depth == 0 and start >= 0:
                value, start = _load(text[start : place + 1]), -1
                if value is not None:
                    yield value, place


def _load(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _arguments(value: dict[str, Any], name: str) -> dict[str, Any] | None:
    """Return the arguments within an object that may be a call: by their usual names, by the tool's, or the object."""
    found, arguments = _search(value, name)
    return arguments if found else value


def _search(value: dict[str, Any], name: str) -> tuple[bool, dict[str, Any] | None]:
    keys = ("arguments", "parameters") if "name" in value else (name,)
    for key in keys:
        candidate = value.get(key)
        arguments = _load(candidate) if isinstance(candidate, str) else candidate
        if isinstance(arguments, dict):
            return True, arguments
    if "name" in value:
        return True, None
    for child in value.values():
        for each in child if isinstance(child, list) else [child]:
            if isinstance(each, dict) and (result := _search(each, name))[0]:
                return result
    return False, None

"""Go templates, as far as models of Modelfiles need them: those with nothing but the system text, prompt and answer."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.simulator.model import Message

_FIELD = re.compile(r"(?:\s*\{\{-|\{\{)\s*\.(System|Prompt|Response)\s*(?:-\}\}\s*|\}\})")
_RESPONSE = "{{ .Response }}"


class TemplateError(ValueError):
    """A template that Go does not parse; the text is Go's."""


def check(template: str) -> None:
    """Raise for a template that does not parse.

    Raises:
        TemplateError: An action has no end.
    """
    if template.count("{{") != template.count("}}"):
        raise TemplateError("template: :1: unclosed action")


def is_plain(template: str) -> bool:
    """Tell whether a template has nothing but the three fields, so that it can be filled."""
    return bool(template) and "{{" not in _FIELD.sub("", template)


def fill(template: str, messages: Iterable[Message]) -> str:
    """Return a conversation as a template writes it, once for each turn; the last ends where the answer begins.

    Other fields stay as they are.
    """
    if not any(field[1] == "Response" for field in _FIELD.finditer(template)):
        template += _RESPONSE
    texts, turn = [], {"System": "", "Prompt": "", "Response": ""}
    for message in messages:
        field = {"system": "System", "user": "Prompt", "assistant": "Response"}.get(message.role)
        if field is None:
            continue
        later = {"System": ("Prompt", "Response"), "Prompt": ("Response",)}.get(field, ())
        if any(turn[each] for each in later):
            texts.append(_write(template, turn))
            turn = dict.fromkeys(turn, "")
        turn[field] = message.content
    answer = next(field for field in _FIELD.finditer(template) if field[1] == "Response")
    return "".join(texts) + _write(template[: answer.end()], turn)


def _write(template: str, turn: dict[str, str]) -> str:
    return _FIELD.sub(lambda field: turn[field[1]], template)

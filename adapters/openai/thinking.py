"""How hard a model thinks before it answers, in each of the ways in which callers say it (wire.md 4)."""

from __future__ import annotations

from typing import Any

from adapters.errors import InvalidRequest
from adapters.openai.fields import Fields, Ignored, not_among
from adapters.types import Think

EFFORTS: dict[str, Think] = {
    "none": False,
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "max",
    "max": "max",
    "ultra": "max",
}

LEVELS: dict[str, Think] = {"low": "low", "medium": "medium", "high": "high", "max": "max"}

_REASONING = frozenset({"effort", "enabled"})


def decode_reasoning(request: Fields, ignored: Ignored) -> Think | None:
    """Read `reasoning_effort` and, before it, OpenRouter's `reasoning`.

    Raises:
        InvalidRequest: An effort is not one of `EFFORTS`.
    """
    effort = _decode_effort(request, "reasoning_effort")
    reasoning = request.object("reasoning")
    if reasoning is None:
        return effort
    for field in reasoning.unknown(_REASONING):
        ignored.add(reasoning.at(field))
    enabled = reasoning.boolean("enabled")
    stated = _decode_effort(reasoning, "effort")
    if enabled is False:
        return False
    if stated is not None:
        return stated
    # A budget of tokens cannot be kept, but who gives one wants thinking.
    if enabled or reasoning.get("max_tokens"):
        return effort or True
    return effort


def decode_think(value: Any, path: str) -> Think:
    """Read the extension `think`: a boolean or a level.

    Raises:
        InvalidRequest: It is neither.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in LEVELS:
        return LEVELS[value]
    message = f"Invalid '{path}': expected true, false, 'low', 'medium', 'high' or 'max'."
    raise InvalidRequest(message, param=path, code="invalid_value")


def _decode_effort(fields: Fields, name: str) -> Think | None:
    effort = fields.string(name)
    if effort is None:
        return None
    if effort not in EFFORTS:
        raise not_among(fields.at(name), effort, tuple(EFFORTS))
    return EFFORTS[effort]

"""What an answer took that several native calls made."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.types import Usage


def add(one: Usage, other: Usage) -> Usage:
    """Return what two calls took together."""
    return Usage(
        prompt=one.prompt + other.prompt,
        completion=one.completion + other.completion,
        cached=_known(one.cached, other.cached),
        thinking=one.thinking + other.thinking,
        estimated=one.estimated or other.estimated,
    )


def choices(usages: Sequence[Usage]) -> Usage:
    """Return what several answers to one prompt took, which counts once, as OpenAI counts it.

    It counts as whichever of them had the most to read.
    """
    prompts = max(usages, key=lambda usage: (usage.prompt, -(usage.cached or 0)))
    return Usage(
        prompt=prompts.prompt,
        completion=sum(usage.completion for usage in usages),
        cached=prompts.cached,
        thinking=sum(usage.thinking for usage in usages),
        estimated=any(usage.estimated for usage in usages),
    )


def _known(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other

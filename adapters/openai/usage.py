"""What an answer took, as OpenAI's `usage` and as the extension object `ollama` (wire.md 4 and 11.1)."""

from __future__ import annotations

from typing import Any

from adapters.types import Finish, Usage


def usage_object(usage: Usage) -> dict[str, Any]:
    """Return the object `usage` with all its details. Like OpenAI's it has 0 where nothing is known."""
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
        "prompt_tokens_details": {"cached_tokens": usage.cached or 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.thinking,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def ollama_object(finish: Finish) -> dict[str, Any]:
    """Return the host's account of its work, and which counts are estimates."""
    account = dict(finish.timings)
    if finish.usage.estimated:
        account["usage_estimated"] = True
    if finish.usage.thinking:
        account["reasoning_tokens_estimated"] = True
    return account

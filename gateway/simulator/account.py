"""What a host asks the cloud for: it has no account there, and its cloud is switched off (wire.md 1.2)."""

from __future__ import annotations

from typing import Any

from gateway.simulator.answers import Answer, Refusal, reply
from gateway.simulator.host import Host
from gateway.simulator.incoming import SimulatedRequest

_SIGN_IN = "https://ollama.com/connect?name=simulated&key=c2ltdWxhdGVk"

_RECOMMENDED: list[dict[str, Any]] = [
    {
        "model": "kimi-k2.6:cloud",
        "description": "State-of-the-art coding, long-horizon execution, and multimodal agent swarm capability",
        "context_length": 262_144,
        "max_output_tokens": 262_144,
    },
    {
        "model": "glm-5.1:cloud",
        "description": "Reasoning and code generation",
        "context_length": 202_752,
        "max_output_tokens": 131_072,
    },
    {
        "model": "qwen3.5:cloud",
        "description": "Reasoning, coding, and agentic tool use with vision",
        "context_length": 262_144,
        "max_output_tokens": 32_768,
    },
    {
        "model": "minimax-m2.7:cloud",
        "description": "Fast, efficient coding and real-world productivity",
        "context_length": 204_800,
        "max_output_tokens": 128_000,
    },
    {
        "model": "gemma4",
        "description": "Reasoning and code generation locally",
        "vram_bytes": 12_000_000_000,
    },
    {
        "model": "qwen3.5",
        "description": "Reasoning, coding, and visual understanding locally",
        "vram_bytes": 14_000_000_000,
    },
]


async def me(_host: Host, _request: SimulatedRequest) -> Answer:
    """Answer that nobody is signed in, and where to do it."""
    return reply({"error": "unauthorized", "signin_url": _SIGN_IN}, status=401)


async def signout(_host: Host, _request: SimulatedRequest) -> Answer:
    """Answer that nobody is signed in.

    Raises:
        Refusal: 401, always.
    """
    raise Refusal(401, "you are not currently signed in")


async def web_search(_host: Host, request: SimulatedRequest) -> Answer:
    """Answer that there is no search of the web.

    Raises:
        Refusal: 403, or 400 without a body.
    """
    raise _disabled(request, "web search is unavailable")


async def web_fetch(_host: Host, request: SimulatedRequest) -> Answer:
    """Answer that no page of the web is fetched.

    Raises:
        Refusal: 403, or 400 without a body.
    """
    raise _disabled(request, "web fetch is unavailable")


def _disabled(request: SimulatedRequest, what: str) -> Refusal:
    if not request.body.strip():
        return Refusal(400, "missing request body")
    return Refusal(403, f"ollama cloud is disabled: {what}")


async def recommendations(_host: Host, _request: SimulatedRequest) -> Answer:
    """Answer which models a user interface may offer."""
    return reply({"recommendations": _RECOMMENDED})

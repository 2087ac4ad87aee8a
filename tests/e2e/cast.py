"""The hosts of these tests and the models they have: the tiny models of the recordings, under names of our own."""

from __future__ import annotations

from msgspec.structs import replace

from gateway.simulator import SimulatedModel
from tests.gateway.simulator.tiny import tiny_chat, tiny_native, tiny_native_think, tiny_plain, tiny_think

KINDS = ("0.24", "0.33", "0.33-jinja")
"""Every feature is shown on each: an old host; a new one that makes prompts itself; a new one that leaves it to Jinja.

A kind is the tag of its models: `chat:0.24` is on the host of version 0.24.
"""

SAID = "Hello from the tiny model: café, 日本語 🙂 and goodbye."
"""What the models answer unless the last message is `long`, `json`, `dice`, `endless` or `silent`."""

LONG = "Counting: 1 " + " ".join(map(str, range(2, 201))) + " done."
"""What they answer to `long`."""


def models(kind: str) -> tuple[SimulatedModel, ...]:
    """Return the models of a kind: `chat` with tools, `think` and `see`, which do what they say, and `plain`."""
    native = kind.endswith("jinja")
    chat, think = (tiny_native, tiny_native_think) if native else (tiny_chat, tiny_think)
    plain = replace(tiny_plain, path="native" if native else "rendered")
    see = replace(chat, capabilities=("completion", "vision"))
    named = {"chat": chat, "think": think, "plain": plain, "see": see}
    return tuple(replace(model, name=f"{name}:{kind}") for name, model in named.items())

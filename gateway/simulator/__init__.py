"""A host that answers as Ollama does, on a real socket: for the `demo` model, for our tests, for users' own tests.

It imports nothing else of this project, so that a mistake in the gateway's own reading of Ollama cannot hide in it.
Recordings of real hosts hold it to what they do (`tests/gateway/simulator/test_recordings.py`).
"""

from __future__ import annotations

from gateway.simulator.demo import demo, demo_thinking, named
from gateway.simulator.incoming import SimulatedRequest
from gateway.simulator.model import Message, Prompt, SimulatedModel, Token, Tool, says, tokens_of
from gateway.simulator.orders import FAULTS, fault
from gateway.simulator.registry import Broken, Corrupt, PlainHTTP, Registry, Unreachable
from gateway.simulator.simulator import Simulator, serve

__all__ = [
    "FAULTS",
    "Broken",
    "Corrupt",
    "Message",
    "PlainHTTP",
    "Prompt",
    "Registry",
    "SimulatedModel",
    "SimulatedRequest",
    "Simulator",
    "Token",
    "Tool",
    "Unreachable",
    "demo",
    "demo_thinking",
    "fault",
    "named",
    "says",
    "serve",
    "tokens_of",
]

"""What embedding models are asked here, and what they answer."""

from __future__ import annotations

import random

from msgspec import Raw

from gateway.simulator.golang import float32_list

INPUTS = 32
"""How many texts a request has."""

DIMENSIONS = 768
"""How long a vector is."""

_SENTENCE = "The quick brown fox jumps over the lazy dog and then sleeps in the sun. "


def texts() -> list[str]:
    """Return the texts of a request."""
    return [f"{place}. {_SENTENCE * 4}" for place in range(INPUTS)]


def vectors() -> list[Raw]:
    """Return their vectors: numbers of 32 bits, of the usual size, written as Go writes them."""
    numbers = random.Random(1)
    return [float32_list(numbers.gauss(0, DIMENSIONS**-0.5) for _ in range(DIMENSIONS)) for _ in range(INPUTS)]

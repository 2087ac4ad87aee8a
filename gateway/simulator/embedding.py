"""Vectors for texts without a model: hashed words and groups of letters, so that texts that share words are near."""

from __future__ import annotations

import math
import re
from collections import Counter
from hashlib import blake2b

_WORD = re.compile(r"\w+")


def _features(text: str) -> Counter[str]:
    """Return what is counted of a text: its words, their letters in threes, and one feature that every text has."""
    counts = Counter({"": 1})
    for word in _WORD.findall(text.lower()):
        counts[word] += 3
        padded = f"^{word}$"
        counts.update(padded[start : start + 3] for start in range(len(padded) - 2))
    return counts


def embed_text(text: str, dimensions: int) -> list[float]:
    """Return a vector of length 1 that depends on nothing but the text."""
    vector = [0.0] * dimensions
    for feature, count in _features(text).items():
        digest = blake2b(feature.encode("utf-8", "replace"), digest_size=8).digest()
        for part in (digest[:4], digest[4:]):
            number = int.from_bytes(part, "little")
            vector[number % dimensions] += count if number & 1 << 31 else -count
    if not any(vector):
        vector[0] = 1.0
    return normalize(vector)


def normalize(vector: list[float]) -> list[float]:
    """Return the vector scaled to length 1."""
    length = max(math.sqrt(sum(value * value for value in vector)), 1e-12)
    return [value / length for value in vector]

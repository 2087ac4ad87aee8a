"""Blobs: the files that a model is made of, each under its digest (wire.md 1.11)."""

from __future__ import annotations

import re

from adapters.errors import InvalidRequest, UnknownURL
from adapters.types import Call

is_digest = re.compile(r"sha256[:-][0-9a-fA-F]{64}").fullmatch
"""Match a digest in one of its two spellings, and nothing that could mean more in a path."""


def check_digest(text: str) -> None:
    """Refuse what is no digest, in Ollama's words.

    Raises:
        InvalidRequest: It is none.
    """
    if not is_digest(text):
        raise InvalidRequest("invalid digest format")


def look(digest: str) -> Call:
    """Return the call that asks whether a host has a blob."""
    return Call(method="HEAD", target=f"/api/blobs/{digest}")


def store(digest: str) -> Call:
    """Return the call that brings a blob, which is its body."""
    return Call(method="POST", target=f"/api/blobs/{digest}")


def missing(digest: str) -> UnknownURL:
    """Return what Ollama says of a blob that is not there."""
    return UnknownURL(f'blob "{digest}" not found')

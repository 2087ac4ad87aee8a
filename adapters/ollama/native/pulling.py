"""A pull as one asks for it oneself, and what is said of how far it has come (wire.md 1.11)."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from adapters.types import Call


class Step(Struct, frozen=True):
    """One line about a pull.

    Attributes:
        status: What is being done; empty in a line about an error.
        digest: The layer that it is about; empty when it is about none.
        total: Bytes of it that there are to load, on all hosts together; 0 when that is not said.
        completed: Bytes of them that are there.
        error: Why it has ended; None unless it failed.
    """

    status: str = ""
    digest: str = ""
    total: int = 0
    completed: int = 0
    error: str | None = None

    @property
    def ends(self) -> bool:
        """Whether it is the last one, which tells what came of it."""
        return self.error is not None or self.status == "success"


def encode_pull(model: str) -> Call:
    """Return the call that asks a host for a model of its registry, and to tell how far it is."""
    return Call(
        method="POST",
        target="/api/pull",
        headers=((b"content-type", b"application/json"),),
        body=msgspec.json.encode({"model": model}),
    )


def decode_step(line: bytes) -> Step:
    """Return what a line says that `Progress` has let through: it has read it already."""
    return _STEP.decode(line)


_STEP = msgspec.json.Decoder(Step)

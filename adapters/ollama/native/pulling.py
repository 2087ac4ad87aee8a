"""A pull as one asks for it oneself, and what is said of how far it has come (wire.md 1.11)."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from adapters.types import Call, json_call


class Step(Struct, frozen=True, omit_defaults=True):
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
    def layer(self) -> tuple[str, str] | None:
        """What tells the layer that it is about from others; None when it is about none, or about one without a size.

        Work on a file has a digest that is the same for all files, so the status counts as well.
        """
        return (self.status, self.digest) if self.digest and 0 < self.total <= _LARGEST else None

    @property
    def ends(self) -> bool:
        """Whether it is the last one, which tells what came of it."""
        return self.error is not None or self.status == "success"


def encode_pull(model: str) -> Call:
    """Return the call that asks a host for a model of its registry, and to tell how far it is."""
    return json_call("/api/pull", msgspec.json.encode({"model": model}))


def decode_step(line: bytes) -> Step:
    """Return what a line says. One that `Progress` has let through always says something.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError, RecursionError: It is no object, or has other types in it.
    """
    return _STEP.decode(line)


encode_step = msgspec.json.Encoder().encode
"""Return a line, without its line feed."""

_STEP = msgspec.json.Decoder(Step)
_LARGEST = 1 << 50

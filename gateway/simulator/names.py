"""The names of models: `[host/][namespace/]model[:tag]`, matched without case (wire.md 1.3)."""

from __future__ import annotations

import re

from msgspec import Struct

_HOST = "registry.ollama.ai"
_NAMESPACE = "library"
_TAG = "latest"

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}\Z")
_NAMESPACE_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}\Z")
_HOST_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}\Z")

_LOCAL = re.compile(r":local\Z", re.IGNORECASE)


class Name(Struct, frozen=True):
    """A model's name with every part said."""

    host: str
    namespace: str
    model: str
    tag: str

    @property
    def full(self) -> str:
        """All parts, as some errors write it."""
        return f"{self.host}/{self.namespace}/{self.model}:{self.tag}"

    @property
    def short(self) -> str:
        """Without the parts that are the default, but always with the tag, as listings write it."""
        if self.host.lower() != _HOST:
            return self.full
        if self.namespace.lower() != _NAMESPACE:
            return f"{self.namespace}/{self.model}:{self.tag}"
        return f"{self.model}:{self.tag}"

    @property
    def key(self) -> str:
        """What two spellings of the same name have in common."""
        return self.full.lower()


def parse(text: str) -> Name | None:
    """Return a name with its defaults filled in, or None when it is malformed or empty.

    A `:local` at its end says only that the model is not one of the cloud.
    """
    rest, tag = _LOCAL.sub("", text.strip()), _TAG
    if rest.rfind(":") > rest.rfind("/"):
        rest, _, tag = rest.rpartition(":")
    *before, model = rest.rsplit("/", 2)
    namespace = before[-1] if before else _NAMESPACE
    host = before[0].rpartition("://")[2] if len(before) == 2 else _HOST
    parts = ((_HOST_PART, host), (_NAMESPACE_PART, namespace), (_PART, model), (_PART, tag))
    good = all(pattern.match(part) for pattern, part in parts)
    return Name(host, namespace, model, tag) if good else None


def is_cloud(text: str) -> bool:
    """Tell whether a name asks for a model of the cloud: `x:cloud`, or a tag that ends in `-cloud`."""
    _, colon, suffix = text.strip().lower().rpartition(":")
    return bool(colon) and (suffix == "cloud" or (suffix.endswith("-cloud") and "/" not in suffix))

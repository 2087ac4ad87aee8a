"""What the fleet is and has, told as one host would tell it (wire.md 1.10).

What a host says of a model is kept: every field, in its order, with those of newer servers. Only keys of the gateway's
own are added, which clients of Ollama pass over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct

from adapters.types import Call

STATUS = Call(method="GET", target="/api/status")

_ENTRY = msgspec.json.Decoder(dict[str, Raw])
_TEXT = msgspec.json.Decoder(str)


class Listed(Struct, frozen=True):
    """A model that is on the disk of one host or of several.

    Attributes:
        entry: What one of them says of it, as in `Model`; with its name.
        hosts: The digest that each of them has, by label.
        modified: When it was made or pulled, in seconds since the epoch.
        alias: The alias that it is listed under; empty when it is listed under its own name.
    """

    entry: Raw
    hosts: Mapping[str, str]
    modified: int
    alias: str = ""


class Loaded(Struct, frozen=True):
    """A model that is in the memory of a host.

    Attributes:
        entry: What the host says of it, as in `Resident`.
        host: The host's label.
    """

    entry: Raw
    host: str


def encode_tags(models: Iterable[Listed]) -> bytes:
    """Return the answer of `GET /api/tags`, the newest first, and then by name.

    Each entry has in `hosts` who has the model; in `digests`, only where they differ, which one each of them has; and
    that of an alias, in `alias_of`, which model it means.
    """
    entries = [(-model.modified, *_tagged(model)) for model in models]
    return msgspec.json.encode({"models": [entry for _, _, entry in sorted(entries, key=lambda one: one[:2])]})


def encode_ps(models: Iterable[Loaded]) -> bytes:
    """Return the answer of `GET /api/ps`, in the order given. Each entry has in `host` where the model is."""
    return msgspec.json.encode({"models": [_ENTRY.decode(model.entry) | {"host": model.host} for model in models]})


def encode_version(version: str) -> bytes:
    """Return the answer of `GET /api/version`."""
    return msgspec.json.encode({"version": version})


def tells_cloud_is_on(body: bytes) -> bool:
    """Whether an answer of `GET /api/status` says that the host may use Ollama's cloud; not when it makes no sense."""
    try:
        return not _STATUS.decode(body).cloud.disabled
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _tagged(model: Listed) -> tuple[str, dict[str, Any]]:
    """Return the name that a model is listed under, and its entry."""
    entry: dict[str, Any] = _ENTRY.decode(model.entry)
    name = _TEXT.decode(entry["name"])
    entry["hosts"] = list(model.hosts)
    if len(set(model.hosts.values())) > 1:
        entry["digests"] = model.hosts
    if not model.alias:
        return name, entry
    return model.alias, entry | {"name": model.alias, "model": model.alias, "alias_of": name}


class _Cloud(Struct):
    disabled: bool


class _Status(Struct):
    cloud: _Cloud


_STATUS = msgspec.json.Decoder(_Status)

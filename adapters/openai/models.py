"""The answers of `GET /v1/models`, and `GET` and `DELETE /v1/models/{id}` (wire.md 7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct


class ListedModel(Struct, frozen=True, kw_only=True):
    """A model as callers see it, whichever hosts have it.

    Attributes:
        id: The name to ask for it by.
        created: Seconds since the epoch.
        digests: The hosts that have it, each with the weights that stand behind the name there; empty for a host that
            does not say.
        loaded_on: The hosts that have it in memory.
        size: Bytes on disk; 0 when no host says.
        context_length: The longest context in tokens; None when no host says.
        capabilities: What it can do, by Ollama's names; empty when no host says.
    """

    id: str
    created: int = 0
    digests: dict[str, str] = {}
    loaded_on: tuple[str, ...] = ()
    size: int = 0
    context_length: int | None = None
    capabilities: frozenset[str] = frozenset()


def encode_models(models: Sequence[ListedModel]) -> bytes:
    """Return the list of models, which is a list even when it is empty."""
    return msgspec.json.encode({"object": "list", "data": [_model_object(model) for model in models]})


def encode_model(model: ListedModel) -> bytes:
    """Return one model."""
    return msgspec.json.encode(_model_object(model))


def encode_deleted(model: str) -> bytes:
    """Return that a model is gone, by the name that the caller gave it."""
    return msgspec.json.encode({"id": model, "object": "model", "deleted": True})


def _model_object(model: ListedModel) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "id": model.id,
        "object": "model",
        "created": model.created,
        "owned_by": _namespace(model.id),
        "hosts": [*model.digests],
        "loaded_on": model.loaded_on,
    }
    told = {host: digest for host, digest in model.digests.items() if digest}
    if len({*told.values()}) > 1:
        fields["digests"] = told
    elif told:
        fields["digest"] = next(iter(told.values()))
    if model.size:
        fields["size"] = model.size
    if model.context_length is not None:
        # vLLM's name for it beside the usual one: clients look for either
        fields["context_length"] = fields["max_model_len"] = model.context_length
    if model.capabilities:
        fields["capabilities"] = sorted(model.capabilities)
    return fields


def _namespace(name: str) -> str:
    """Return the namespace of `[[host/]namespace/]model[:tag]`, which Ollama gives as the owner."""
    *_, namespace, _ = ("", *name.rsplit("/", 2))
    return namespace or "library"

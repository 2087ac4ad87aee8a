"""The answers of `GET /v1/models` and `GET /v1/models/{id}` (wire.md 7)."""

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
        context_length: The longest context in tokens; None when no host says.
    """

    id: str
    created: int = 0
    context_length: int | None = None


def encode_models(models: Sequence[ListedModel]) -> bytes:
    """Return the list of models, which is a list even when it is empty."""
    return msgspec.json.encode({"object": "list", "data": [_model_object(model) for model in models]})


def encode_model(model: ListedModel) -> bytes:
    """Return one model."""
    return msgspec.json.encode(_model_object(model))


def _model_object(model: ListedModel) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "id": model.id,
        "object": "model",
        "created": model.created,
        "owned_by": _namespace(model.id),
    }
    if model.context_length is not None:
        # vLLM's name for it beside the usual one: clients look for either
        fields["context_length"] = fields["max_model_len"] = model.context_length
    return fields


def _namespace(name: str) -> str:
    """Return the namespace of `[[host/]namespace/]model[:tag]`, which Ollama gives as the owner."""
    *_, namespace, _ = ("", *name.rsplit("/", 2))
    return namespace or "library"

"""What a host has on its disk: models, the blobs that they are made of, and blobs that are no part of one yet."""

from __future__ import annotations

import time
from collections.abc import Iterator

from msgspec import Struct

from gateway.simulator import names
from gateway.simulator.model import Layer, SimulatedModel

STORE = "/usr/share/ollama/.ollama/models"
"""Where a host says that its files are."""

GGUF = b"GGUF"
"""How a file of weights begins."""


class Blob(Struct, frozen=True):
    """A file, of which nobody needs the content.

    Attributes:
        size: Bytes.
        head: Its first four bytes.
    """

    size: int
    head: bytes = b""


def _blob(layer: Layer) -> Blob:
    return Blob(layer.size, GGUF if layer.kind in ("model", "adapter") else b"")


class Disk:
    """The disk of a host.

    Args:
        models: What is on it.

    Attributes:
        models: The models, by `Name.key`.
        stored: The blobs that came alone, by uploads and downloads, by digest. Those of models need not be here.
        made_at: Since when there is what it began with, in nanoseconds since the epoch.
    """

    def __init__(self, *models: SimulatedModel) -> None:
        self.models = {model.full_name.key: model for model in models}
        self.stored: dict[str, Blob] = {}
        self.made_at = time.time_ns()
        self._modified: dict[str, int] = {}

    # --- models -------------------------------------------------------------------------------------------------------

    def add(self, *models: SimulatedModel) -> None:
        """Put models on the host's disk; one of the same name is replaced.

        Raises:
            ValueError: A name is malformed.
        """
        now = time.time_ns()
        for model in models:
            old = self.models.get(model.full_name.key)
            self.models[model.full_name.key] = model
            self._modified[model.full_name.key] = now
            if old is not None:
                self._throw_away(old)

    def delete(self, model: SimulatedModel) -> None:
        """Take a model from the disk, with its blobs. What is in memory stays there.

        Raises:
            KeyError: It is not there.
        """
        del self.models[model.full_name.key]
        self._modified.pop(model.full_name.key, None)
        self._throw_away(model)

    def find(self, name: str) -> SimulatedModel | None:
        """Return the model of a name, matched without case and with the default tag."""
        parsed = names.parse(name)
        return self.models.get(parsed.key) if parsed is not None else None

    def spelling(self, name: names.Name) -> str:
        """Return a name as the model that has it already writes it."""
        model = self.models.get(name.key)
        return model.full_name.short if model is not None else name.short

    def modified_at(self, model: SimulatedModel) -> int:
        """Return when a model came onto the disk, in nanoseconds since the epoch."""
        return self._modified.get(model.full_name.key, self.made_at)

    # --- blobs --------------------------------------------------------------------------------------------------------

    @property
    def blobs(self) -> dict[str, int]:
        """The size of every blob by its digest, those of models included."""
        sizes = {layer.digest: layer.size for layer in self._layers()}
        return sizes | {digest: blob.size for digest, blob in self.stored.items()}

    def blob(self, digest: str) -> Blob | None:
        """Return a blob, those of models included."""
        layers = (_blob(layer) for layer in self._layers() if layer.digest == digest)
        return self.stored.get(digest) or next(layers, None)

    def keep(self, layer: Layer) -> None:
        """Put a blob on the disk that is not yet part of a model."""
        self.stored[layer.digest] = _blob(layer)

    def prune(self) -> None:
        """Throw away what belongs to no model, as a host does when it starts."""
        used = {layer.digest for layer in self._layers()}
        self.stored = {digest: blob for digest, blob in self.stored.items() if digest in used}

    def _throw_away(self, gone: SimulatedModel) -> None:
        """Throw away the blobs of a model that no other has."""
        used = {layer.digest for layer in self._layers()}
        for layer in gone.layers:
            if layer.digest not in used:
                self.stored.pop(layer.digest, None)

    def _layers(self) -> Iterator[Layer]:
        return (layer for model in self.models.values() for layer in model.layers)

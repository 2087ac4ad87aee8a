"""A simulated host without its socket: what it has, how fast it is, which version it plays."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from gateway.simulator import names
from gateway.simulator.answers import Refusal
from gateway.simulator.disk import Disk
from gateway.simulator.model import SimulatedModel
from gateway.simulator.options import LoadOptions, load_options
from gateway.simulator.registry import Registry
from gateway.simulator.scheduler import Lease, Scheduler
from gateway.simulator.transfers import Downloads

_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


class Vocabulary:
    """The tokens of a model by number, in the order in which they were met: what `context` is made of (wire.md 1.7)."""

    def __init__(self, model: SimulatedModel) -> None:
        self._split = model.split
        self._numbers: dict[str, int] = {}

    def encode(self, text: str) -> list[int]:
        """Return the numbers of a text's tokens."""
        return [self._numbers.setdefault(token, len(self._numbers) + 1) for token in self._split(text)]

    def decode(self, numbers: Iterable[int]) -> str:
        """Return the text of some tokens; unknown numbers are no text."""
        tokens = {number: token for token, number in self._numbers.items()}
        text = "".join(tokens.get(number, "") for number in numbers)
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class Host(Disk):
    """What a request to a simulated host is answered from.

    Args and attributes are those of `Simulator`.
    """

    def __init__(
        self,
        *,
        models: Sequence[SimulatedModel],
        registry: Registry,
        version: str,
        parallel: int,
        max_queue: int,
        load_seconds: float,
        first_token_seconds: float,
        token_seconds: float,
        context_length: int,
        max_loaded: int,
        pull_seconds: float,
        pull_steps: int,
        blob_bytes_per_second: float,
        free_bytes: float,
    ) -> None:
        super().__init__(*models)
        self.registry = registry
        self.downloads = Downloads(self)
        self.version = version
        self.parallel = parallel
        self.load_seconds = load_seconds
        self.first_token_seconds = first_token_seconds
        self.token_seconds = token_seconds
        self.context_length = context_length
        self.pull_seconds = pull_seconds
        self.pull_steps = pull_steps
        self.blob_bytes_per_second = blob_bytes_per_second
        self.free_bytes = free_bytes
        self._vocabularies: dict[str, Vocabulary] = {}
        self.scheduler = Scheduler(max_queue=max_queue, max_loaded=max_loaded, load_seconds=lambda: self.load_seconds)

    def remove(self, *models: SimulatedModel) -> None:
        """Take models from the host's disk and from its memory.

        Raises:
            KeyError: One is not there.
        """
        for model in models:
            self.delete(model)
            self.scheduler.expire(model)

    def at_least(self, *release: int) -> bool:
        """Tell whether the version it plays is this one or a later one."""
        found = _VERSION.match(self.version)
        parts = tuple(int(part or 0) for part in found.groups()) if found else (0, 0, 0)
        return parts >= release

    def vocabulary(self, model: SimulatedModel) -> Vocabulary:
        """Return the numbers of a model's tokens."""
        return self._vocabularies.setdefault(model.weights, Vocabulary(model))

    def load_options(self, model: SimulatedModel, options: dict[str, object], *, shift: bool = True) -> LoadOptions:
        """Return with what a request wants its model loaded.

        `shift` counts from 0.30.9 on. A model that sees is never loaded with less than 2048 tokens (wire.md 1.8).
        """
        return load_options(
            options,
            default_context=self.context_length,
            longest=model.context_length,
            least=2048 if model.can("vision") and model.sees else 4,
            shift=shift or not self.at_least(0, 30, 9),
        )

    async def lease(self, model: SimulatedModel, options: LoadOptions, keep_alive: float | None) -> Lease:
        """Return a hold on a runner for a model. Embedding models always have one slot (wire.md 3.2).

        Raises:
            Refusal: 503 when the queue is full, 500 when the model cannot be loaded.
        """
        slots = self.parallel if model.can("completion") else 1
        return await self.scheduler.acquire(model, options, parallel=slots, keep_alive=keep_alive)

    def require(self, name: str, *, empty: Refusal, missing: Refusal) -> SimulatedModel:
        """Return a model that must exist.

        Raises:
            Refusal: `empty` without a name, 400 for a malformed one, 403 for a model of the cloud, `missing` for one
                that is not here.
        """
        if not name.strip():
            raise empty
        if names.is_cloud(name):
            raise Refusal(403, "ollama cloud is disabled: remote model is unavailable")
        if names.parse(name) is None:
            raise Refusal(400, "invalid model name")
        model = self.find(name)
        if model is None:
            raise missing
        return model

"""The names that callers may use, and what the configuration says about each model."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from adapters.errors import InvalidRequest, ModelNotFound
from adapters.ollama.names import canonical
from adapters.ollama.native.request import NativeRequest, changes_by
from adapters.types import ChatRequest, GenerateRequest, Request, TextRequest
from gateway.config import ModelSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gateway.config import Placement

RequestT = TypeVar("RequestT", bound=Request)

_NOTHING = ModelSettings()

LONGEST = 256
"""Characters of a name that are compared with others and repeated to the caller."""


class Catalogue:
    """Aliases and settings of models.

    Attributes:
        aliases: Each alias as configured, with the model that it means.
    """

    def __init__(self, models: Mapping[str, ModelSettings]) -> None:
        self._settings = {canonical(name): settings for name, settings in models.items()}
        self.aliases = {alias: name for name, settings in models.items() for alias in settings.aliases}
        self._targets = {canonical(alias): canonical(name) for alias, name in self.aliases.items()}

    def key(self, model: str) -> str:
        """Return the canonical name of what a caller's name means, aliases followed."""
        name = canonical(model)
        return self._targets.get(name, name)

    def target(self, model: str) -> str:
        """Return the model that a caller's name means: the name itself, unless it is an alias."""
        name = canonical(model)
        return self._targets.get(name, model)

    def aliased(self, name: str) -> str | None:
        """Return the model that an alias stands for, as configured; None when the name is no alias."""
        meant = canonical(name)
        return next((model for alias, model in self.aliases.items() if canonical(alias) == meant), None)

    def check_new(self, name: str) -> None:
        """Refuse a name for a model that nobody could ask: requests for an alias go to what it stands for.

        Raises:
            InvalidRequest: The name is an alias.
        """
        if target := self.aliased(name):
            raise InvalidRequest(
                f"{name!r} is an alias of {target!r} here, so a model of this name would never be asked. Choose "
                "another name, or take the alias out of the gateway's configuration.",
                param="model",
            )

    @property
    def placements(self) -> list[Placement]:
        """The placements that models have of their own."""
        return [own for settings in self._settings.values() if (own := settings.placement) is not None]

    def placement(self, model: str) -> Placement | None:
        """Return which hosts get a model of this very name, never taken for an alias; None when nothing says it."""
        return self._settings.get(canonical(model), _NOTHING).placement

    def checks_schemas(self, model: str) -> bool:
        """Whether `strict` means for a model that its answers are checked."""
        return self._settings.get(self.key(model), _NOTHING).check_schema

    def apply(self, key: str, request: RequestT) -> RequestT:
        """Return a request with what the configuration says where the caller said nothing.

        A prompt that does not fit is refused unless someone said that it may be cut; a native one is the host's affair.
        """
        settings = self._settings.get(key, _NOTHING)
        if settings is _NOTHING and isinstance(request, ChatRequest):  # most requests: it saves making each twice
            return request if request.truncate is not None else msgspec.structs.replace(request, truncate=False)
        if isinstance(request, NativeRequest):
            changes = changes_by(
                request,
                options=settings.options,
                keep_alive=settings.keep_alive,
                think=settings.think,
                truncate=settings.truncate,
            )
            return msgspec.structs.replace(request, changes=changes) if changes else request
        options = {**settings.options, **request.options}
        stop = options.pop("stop", ())
        said: dict[str, Any] = {
            "options": options,
            "keep_alive": settings.keep_alive if request.keep_alive is None else request.keep_alive,
            "truncate": bool(settings.truncate) if request.truncate is None else request.truncate,
        }
        if isinstance(request, TextRequest):
            said["stop"] = request.stop or tuple(stop)
            said["think"] = settings.think if request.think is None else request.think
        if isinstance(request, GenerateRequest):
            said["raw"] = raw = not settings.templated if request.raw is None else request.raw
            if raw:
                said["think"] = request.think  # a model is not asked anything there, so its settings do not count
        return msgspec.structs.replace(request, **said)

    def not_found(self, model: str, names: Iterable[str]) -> ModelNotFound:
        """Return the error for a model that no host has, with those of the names there are that come near to it."""
        present = {canonical(name): name.removesuffix(":latest") for name in names}
        shown = model if len(model) <= LONGEST else f"{model[:LONGEST]}…"
        if target := self.aliased(model):
            return ModelNotFound(f"The model {shown!r} stands for {target!r} here, which no host has.", param="model")
        known = [*present.values(), *(alias for alias in self.aliases if self.key(alias) in present)]
        near = difflib.get_close_matches(shown.removesuffix(":latest"), known, 3)
        hint = f"Did you mean {' or '.join(near)}?" if near else "GET /v1/models lists what there is."
        return ModelNotFound(f"The model {shown!r} does not exist here. {hint}", param="model")

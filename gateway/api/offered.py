"""The models that callers can ask for, whichever hosts have them: every model of a host that is up, and every alias."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from adapters.ollama.names import canonical

if TYPE_CHECKING:
    from adapters.types import Model
    from gateway.catalogue import Catalogue
    from gateway.fleet import Fleet, Host


class Offered(Struct, frozen=True):
    """A model that callers can ask for.

    Attributes:
        key: Its canonical name.
        places: The hosts that have it, each with what it has, in the order of the configuration.
        alias: The alias to ask for it by; empty for its own name.
    """

    key: str
    places: tuple[tuple[Host, Model], ...]
    alias: str = ""

    @property
    def by_age(self) -> list[tuple[Host, Model]]:
        """The same, the newest weights first."""
        return sorted(self.places, key=lambda place: place[1].modified, reverse=True)

    @property
    def newest(self) -> Model:
        """The model with the newest weights."""
        return self.by_age[0][1]

    @property
    def digests(self) -> dict[str, str]:
        """The digest that each host has, by label."""
        return {host.label: model.digest for host, model in self.places}


def offered(fleet: Fleet, catalogue: Catalogue) -> dict[str, Offered]:
    """Return what callers can ask for, by canonical name. An alias hides a model of its name, as for requests."""
    models = {key: Offered(key, tuple(places)) for key, places in fleet.models().items()}
    aliases = {
        canonical(alias): replace(target, alias=alias)
        for alias in catalogue.aliases
        if (target := models.get(catalogue.key(alias))) is not None
    }
    return models | aliases

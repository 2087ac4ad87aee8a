"""Which hosts a management call goes to, from what is known of the fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.errors import InvalidRequest
from adapters.ollama.names import canonical
from gateway.fleet import DEMO
from gateway.hop import Timeouts
from gateway.management.asking import holding
from gateway.management.targets import choose, narrow

if TYPE_CHECKING:
    from adapters.ollama.native.management import Create
    from gateway.catalogue import Catalogue
    from gateway.config import Placement, Settings
    from gateway.fleet import Fleet, Host
    from gateway.management.targets import Targets


class Managed:
    """The hosts whose models are managed: all but the simulated one.

    A model's name means what it says here: an alias is not followed, for who deletes one must not delete its model.
    Everything that chooses hosts raises `InvalidRequest` when a host is wished that there is not, and `NoHost` when
    none of those that are meant is up.

    Args:
        fleet: All hosts.
        catalogue: What the configuration says of models.
        settings: All settings.

    Attributes:
        fleet: All hosts.
        hosts: Those that are managed, by label.
        timeouts: What holds for work of minutes. A host that verifies what it pulled is silent as long as that takes;
            one that is gone is found by the probes of its connection.
    """

    def __init__(self, fleet: Fleet, catalogue: Catalogue, settings: Settings) -> None:
        self.fleet = fleet
        self.timeouts = Timeouts(connect=settings.timeouts.connect, first_byte=None, between=None)
        self.hosts = {label: host for label, host in fleet.hosts.items() if label != DEMO}
        self._catalogue = catalogue
        self._placement = settings.placement

    async def for_pull(self, model: str, wish: Placement | None) -> Targets:
        """Return the hosts that pull a model. Where one is enough, first comes one that has it, else the emptiest."""
        # Work of minutes should know of a host that went down, and of a model that came, a moment ago.
        await self.fleet.refresh(hurry=True)
        having = self._having(model)
        best = sorted(self.hosts, key=lambda label: (label not in having, _bytes(self.hosts[label])))
        return choose(self._up(), wish or self._catalogue.placement(model) or self._placement, best=best)

    async def for_push(self, model: str, wish: Placement | None) -> Targets:
        """Return the hosts of which one pushes a model: those that have it; any, when none is known to."""
        await self.fleet.refresh(hurry=True)
        targets = choose(self._up(), wish or "all")
        having = self._having(model)
        return targets.of_one(tuple(label for label in targets.up if label in having) or targets.up)

    async def for_create(self, asked: Create, wish: Placement | None) -> Targets:
        """Return the hosts that make a model: those that have what it is made of; when none has, those that get it."""
        targets = await self.for_pull(asked.model, wish)
        if asked.source:
            targets = narrow(targets, self._having(asked.source))
        if asked.blobs and not targets.named:
            targets = narrow(targets, await holding([self.hosts[label] for label in targets.up], asked.blobs))
        return targets

    def for_all(self, wish: Placement | None) -> Targets:
        """Return the hosts of a call that is for each that has a model.

        Raises:
            InvalidRequest: The caller wishes any host.
        """
        if wish == "any":
            raise InvalidRequest(
                "this is done on every host that has the model; name hosts in x-gateway-hosts, or leave it out"
            )
        return choose(self._up(), wish or "all")

    def for_blob(self, wish: Placement | None) -> Targets:
        """Return the hosts that get a file, of which nobody knows yet what model it is for."""
        return choose(self._up(), wish or self._placement)

    def for_one(self, wish: Placement | None) -> Targets:
        """Return the hosts of which one answers for the fleet: the one that is wished, or any.

        Raises:
            InvalidRequest: The caller wishes several.
        """
        if wish == "all" or (isinstance(wish, tuple) and len(wish) > 1):
            raise InvalidRequest("this is asked of one host; name one in x-gateway-hosts, or leave it out")
        return choose(self._up(), wish or "any")

    def _up(self) -> dict[str, bool]:
        return {label: host.view.up for label, host in self.hosts.items()}

    def _having(self, model: str) -> set[str]:
        key = canonical(model)
        return {label for label, host in self.hosts.items() if key in host.view.models}


def _bytes(host: Host) -> int:
    """Return how much the models on a host's disk take."""
    return sum(model.size for model in host.view.models.values())

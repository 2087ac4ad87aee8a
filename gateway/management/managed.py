"""Which hosts a management call goes to, from what is known of the fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.errors import InvalidRequest
from adapters.ollama.names import canonical
from gateway.fleet import DEMO
from gateway.hop import Timeouts
from gateway.management.asking import holding
from gateway.management.targets import choose, narrow, together

if TYPE_CHECKING:
    from collections.abc import Collection

    from adapters.ollama.native.management import Create
    from gateway.catalogue import Catalogue
    from gateway.config import Placement, Settings
    from gateway.fleet import Fleet, Host
    from gateway.management.targets import Targets


LOOK = 1.0
"""Seconds to wait at most for what hosts show before something is done with them."""

SHOW = 5.0
"""Seconds to wait at most for hosts to show what they did."""


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
        catalogue: What the configuration says of models.
        hosts: Those that are managed, by label.
        timeouts: What holds for work of minutes. A host that verifies what it pulled is silent as long as that takes;
            one that is gone is found by the looks at it.
    """

    def __init__(self, fleet: Fleet, catalogue: Catalogue, settings: Settings) -> None:
        self.fleet = fleet
        self.timeouts = Timeouts(connect=settings.timeouts.connect, first_byte=None, between=None)
        self.hosts = {label: host for label, host in fleet.hosts.items() if label != DEMO}
        self.catalogue = catalogue
        self._placement = settings.placement

    async def for_pull(self, model: str, wish: Placement | None) -> Targets:
        """Return the hosts that pull a model. Where one is enough, first comes one that has it, else the emptiest.

        Raises:
            InvalidRequest: The name is an alias.
        """
        self.catalogue.check_new(model)
        hosts = await self._look()
        having = self._having(model)
        best = sorted(hosts, key=lambda label: (label not in having, _bytes(self.hosts[label])))
        return choose(hosts, wish, self.catalogue.placement(model) or self._placement, best=best)

    async def for_push(self, model: str, wish: Placement | None) -> Targets:
        """Return the hosts of which one pushes a model: those that have it; any, when none is known to."""
        targets = choose(await self._look(), wish)
        return targets.one_of(self._having(model))

    async def for_create(self, asked: Create, wish: Placement | None) -> Targets:
        """Return the hosts that make a model: those that have what it is made of; when none has, those that get it.

        A host can pull the model that another one is made from, but no blob.

        Raises:
            InvalidRequest: The name is an alias.
        """
        targets = await self.for_pull(asked.model, wish)
        if asked.source:
            targets = narrow(targets, self._having(asked.source))
        if asked.blobs and not targets.named:
            held = await holding([self.hosts[label] for label in targets.up], asked.blobs)
            targets = narrow(targets, held, strictly=True)
        return targets

    async def for_all(self, wish: Placement | None) -> Targets:
        """Return the hosts of a call that is for each that has a model.

        Raises:
            InvalidRequest: The caller wishes any host.
        """
        if wish == "any":
            raise InvalidRequest(
                "this is done on every host that has the model; name hosts in x-gateway-hosts, or leave it out"
            )
        return choose(await self._look(), wish)

    async def for_blob(self, wish: Placement | None) -> Targets:
        """Return the hosts that get a file, of which nobody knows yet what model it is for."""
        return choose(await self._look(), wish, together([self._placement, *self.catalogue.placements]))

    def for_one(self, wish: Placement | None) -> Targets:
        """Return the hosts of which one answers for the fleet: the one that is wished, or any.

        Raises:
            InvalidRequest: The caller wishes several.
        """
        if wish == "all" or (isinstance(wish, tuple) and len(wish) > 1):
            raise InvalidRequest("this is asked of one host; name one in x-gateway-hosts, or leave it out")
        return choose(self._up(), wish, "any")

    async def show(self, done: Collection[str]) -> None:
        """Wait until it is seen what hosts did, so that the caller's next request sees it too."""
        await self.fleet.seen(done, within=SHOW)

    async def _look(self) -> dict[str, bool]:
        """Return which hosts are up. One that came back a moment ago is not passed over."""
        await self.fleet.seen(self.hosts, within=LOOK)
        return self._up()

    def _up(self) -> dict[str, bool]:
        return {label: host.view.up for label, host in self.hosts.items()}

    def _having(self, model: str) -> set[str]:
        key = canonical(model)
        return {label for label, host in self.hosts.items() if key in host.view.models}


def _bytes(host: Host) -> int:
    """Return how much the models on a host's disk take."""
    return sum(model.size for model in host.view.models.values())

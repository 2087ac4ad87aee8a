"""Which hosts a management call goes to, from what is known of the fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.errors import InvalidRequest, ModelNotFound, NoHost
from adapters.ollama.names import canonical
from gateway.absence import away
from gateway.fleet import DEMO
from gateway.hop import Timeouts
from gateway.management.asking import holding
from gateway.management.targets import choose, narrow, together

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from adapters.errors import CallerError
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
    none of those that are meant is up. What needs a model that is there refuses an alias, and the simulated host's.

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
            InvalidRequest: The name is taken, as in `check_new`.
        """
        self.check_new(model)
        hosts = await self._look()
        having = self.having(model, self.hosts)
        best = sorted(hosts, key=lambda label: (label not in having, _bytes(self.hosts[label])))
        return choose(hosts, wish, self.catalogue.placement(model) or self._placement, best=best)

    async def for_push(self, model: str, wish: Placement | None) -> Targets:
        """Return the hosts of which one pushes a model: those with its newest weights; any, when none is known to.

        Raises:
            InvalidRequest: The name is an alias.
            ModelNotFound: The hosts that the caller names lack it, and others have it.
            NoHost: It is only on hosts that are down, or its newest weights are.
        """
        targets = choose(await self._look(), wish)
        self._check_there(model, InvalidRequest)
        known = self.having(model, self.hosts)
        meant = [label for label in known if label in targets.up or label in targets.down]
        if not known:
            return targets.one_of(())
        if not meant:
            raise ModelNotFound(
                f"{model!r} is not on {', '.join(targets.up)}, but on {', '.join(known)}. Name one that has it in "
                "x-gateway-hosts, or leave it out.",
                param="model",
            )
        newest = self._newest(model, meant)
        if any(label in targets.up for label in newest):
            return targets.one_of(newest)
        if not any(label in targets.up for label in meant):
            raise away(model, len(meant))
        raise NoHost(
            f"The newest weights of {model!r} are on {', '.join(newest)}, which cannot be reached; other hosts have "
            "older ones. Try again later, or name the host that is to push its own in x-gateway-hosts."
        )

    async def for_create(self, asked: Create, wish: Placement | None) -> Targets:
        """Return the hosts that make a model: those that have what it is made of; when none has, those that get it.

        A host can pull the model that another one is made from, but no blob.

        Raises:
            InvalidRequest: The name is taken, as in `check_new`; the source is an alias; or the blobs are elsewhere.
            NoHost: The source is only on hosts that are down.
        """
        targets = await self.for_pull(asked.model, wish)
        if asked.source:
            self._check_there(asked.source, InvalidRequest)
            having = self.having(asked.source, self.hosts)
            if having and not any(self.hosts[label].view.up for label in having):
                raise away(asked.source, len(having))
            targets = narrow(targets, having)
        if asked.blobs:
            held = await holding([self.hosts[label] for label in targets.up], asked.blobs)
            if not held:
                await self._check_elsewhere(asked, targets)
            targets = narrow(targets, held, strictly=True)
        return targets

    async def for_all(self, model: str, wish: Placement | None) -> Targets:
        """Return the hosts of a call that is for each that has a model.

        Raises:
            InvalidRequest: The caller wishes any host.
            ModelNotFound: The name is an alias.
        """
        if wish == "any":
            raise InvalidRequest(
                "this is done on every host that has the model; name hosts in x-gateway-hosts, or leave it out"
            )
        targets = choose(await self._look(), wish)
        self._check_there(model, ModelNotFound)
        return targets

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

    def check_new(self, model: str) -> None:
        """Refuse a name for a model that nobody could ask, or that stands for another one already.

        Raises:
            InvalidRequest: It is an alias, or the simulated host has a model of this name.
        """
        self.catalogue.check_new(model)
        if self._is_simulated(model):
            raise InvalidRequest(
                f"{model!r} is the model of the simulated host. Choose another name, or write `demo: false` in the "
                "gateway's configuration.",
                param="model",
            )

    def having(self, model: str, labels: Iterable[str]) -> list[str]:
        """Return which of these hosts have a model, or had it when they were last up."""
        key = canonical(model)
        return [label for label in labels if key in self.hosts[label].view.models]

    async def show(self, done: Collection[str]) -> None:
        """Wait until it is seen what hosts did, so that the caller's next request sees it too."""
        await self.fleet.seen(done, within=SHOW)

    async def _look(self) -> dict[str, bool]:
        """Return which hosts are up. One that came back a moment ago is not passed over."""
        await self.fleet.seen(self.hosts, within=LOOK)
        return self._up()

    def _up(self) -> dict[str, bool]:
        return {label: host.view.up for label, host in self.hosts.items()}

    def _newest(self, model: str, having: Iterable[str]) -> list[str]:
        """Return those of the hosts that have a model that have its newest weights, the newest first."""
        key = canonical(model)
        models = {label: self.hosts[label].view.models[key] for label in having}
        by_age = sorted(models, key=lambda label: models[label].modified, reverse=True)
        return [label for label in by_age if models[label].digest == models[by_age[0]].digest]

    def _is_simulated(self, model: str) -> bool:
        demo = self.fleet.hosts.get(DEMO)
        return demo is not None and canonical(model) in demo.view.models

    def _check_there(self, model: str, error: type[CallerError]) -> None:
        """Refuse a name that means something for requests, but no model of the hosts."""
        if self.having(model, self.hosts):
            return
        if target := self.catalogue.aliased(model):
            raise error(f"{model!r} is an alias of {target!r} here; name the model itself.", param="model")
        if self._is_simulated(model):
            raise error(
                f"{model!r} is the model of the simulated host, which takes no part in this; `demo: false` in the "
                "gateway's configuration takes both away.",
                param="model",
            )

    async def _check_elsewhere(self, asked: Create, targets: Targets) -> None:
        """Refuse what is made of files that none of the hosts has that are to make it, and others have."""
        others = [host for label, host in self.hosts.items() if host.view.up and label not in targets.up]
        held = await holding(others, asked.blobs)
        if held:
            meant, places = ", ".join(targets.up), ", ".join(host.label for host in others if host.label in held)
            raise InvalidRequest(
                f"the files are on {places}, and the model is to be made on {meant}; upload them again with "
                f"x-gateway-hosts: {meant}, or create it with x-gateway-hosts: {places}",
                param="files",
            )


def _bytes(host: Host) -> int:
    """Return how much the models on a host's disk take."""
    return sum(model.size for model in host.view.models.values())

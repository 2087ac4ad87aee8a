"""The hosts together: who has which model, who may be asked, and who is at work."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec.structs import replace

from adapters.errors import HostError, HostLacksModel, HostUnreachable
from gateway.fleet.host import Host
from gateway.fleet.prober import Prober
from gateway.log import log
from gateway.routing import Candidate

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from adapters.types import Model, Profile
    from gateway.config import HostSettings, Timeouts
    from gateway.metrics import Metrics


REFRESH = 1.0
"""Seconds that a request for a model that nobody seems to have may wait for a fresh look at the hosts."""


class Fleet:
    """All hosts.

    Attributes:
        hosts: By label, in the order of the configuration.
    """

    def __init__(self, hosts: Iterable[HostSettings], *, timeouts: Timeouts, interval: float, metrics: Metrics) -> None:
        self.hosts = {host.label: Host(host, timeouts) for host in hosts}
        self._probers = {label: Prober(host, interval, self._seen) for label, host in self.hosts.items()}
        self._metrics = metrics
        self._profiles: dict[str, asyncio.Future[Profile]] = {}
        self._turn = 0

    def start(self) -> None:
        """Begin to look at the hosts."""
        for prober in self._probers.values():
            prober.start()

    async def stop(self) -> None:
        """Look no more, and close every connection."""
        await asyncio.gather(*(prober.stop() for prober in self._probers.values()))
        await asyncio.gather(*(host.hop.aclose() for host in self.hosts.values()))

    def candidates(self, key: str, without: Collection[str] = ()) -> list[Candidate]:
        """Return the healthy hosts that have a model, by its canonical name."""
        found = []
        for label, host in self.hosts.items():
            view = host.view
            model = view.models.get(key)
            if model is not None and view.up and label not in without:
                found.append(
                    Candidate(
                        host=label,
                        model=model.name,
                        digest=model.digest,
                        resident=key in view.residents,
                        in_flight=host.in_flight(key),
                        parallel=host.parallel,
                        turn=host.turn,
                    )
                )
        return found

    def models(self) -> dict[str, list[tuple[Host, Model]]]:
        """Return every model that a healthy host has, by canonical name, with those hosts."""
        found: dict[str, list[tuple[Host, Model]]] = {}
        for host in self.hosts.values():
            for key, model in host.view.models.items() if host.view.up else ():
                found.setdefault(key, []).append((host, model))
        return found

    def names(self) -> list[str]:
        """Return what healthy hosts call their models."""
        return sorted({model.name for places in self.models().values() for _, model in places})

    def down(self, key: str) -> list[Host]:
        """Return the hosts that had a model when they were last up, and are down."""
        return [host for host in self.hosts.values() if not host.view.up and key in host.view.models]

    def enter(self, choice: Candidate, key: str) -> Host:
        """Count a call at the host that was chosen for it."""
        host = self.hosts[choice.host]
        host.enter(key)
        self._turn += 1
        host.turn = self._turn
        return host

    def leave(self, choice: Candidate, key: str) -> None:
        """A call at a host has ended."""
        self.hosts[choice.host].leave(key)

    def at_work(self) -> list[tuple[str, str, int]]:
        """Return for each model, by canonical name, and host the number of calls that it works on."""
        return [(key, label, count) for label, host in self.hosts.items() for key, count in host.at_work()]

    def loaded(self, choice: Candidate) -> None:
        """A model that was cold at a host is resident there now: look at what else that changed."""
        self._probers[choice.host].look_now()

    async def refresh(self) -> None:
        """Look at every host that is up or was not looked at yet, and wait a little for what that shows."""
        probers = [self._probers[host.label] for host in self.hosts.values() if host.view.up or host.view.error is None]
        if probers:
            await asyncio.wait([prober.look() for prober in probers], timeout=REFRESH)

    def failed(self, choice: Candidate, key: str, error: HostError) -> None:
        """A call failed at a host: believe what it shows at once, and look at the host again."""
        host = self.hosts[choice.host]
        self._metrics.host_failures.labels(error.code, choice.model, choice.host).inc()
        log(
            "host failed",
            "warning",
            host=host.label,
            model=choice.model,
            error=error.code,
            reason=error.message,
            detail=error.detail or None,
        )
        if isinstance(error, HostUnreachable):
            host.view = replace(host.view, up=False, residents={}, error=error)
            self._metrics.host_up.labels(host.label).set(0)
        elif isinstance(error, HostLacksModel):
            models = {name: model for name, model in host.view.models.items() if name != key}
            host.view = replace(host.view, models=models)
        self._probers[host.label].look_now()

    async def profile(self, choice: Candidate) -> Profile:
        """Return what a model is like, asked once for each digest.

        Raises:
            HostError: The host does not tell.
        """
        known = self._profiles.get(choice.digest)
        if known is None or not choice.digest:
            asking = self._probers[choice.host].profile(choice.model)
            known = self._profiles[choice.digest] = asyncio.ensure_future(asking)
        try:
            # Several requests may wait for one answer; one of them that leaves must not take it from the others.
            return await asyncio.shield(known)
        except HostError:
            if self._profiles.get(choice.digest) is known:
                del self._profiles[choice.digest]
            raise

    def _seen(self, host: Host) -> None:
        self._metrics.host_up.labels(host.label).set(host.view.up)
        digests = {model.digest for other in self.hosts.values() for model in other.view.models.values()}
        for gone in self._profiles.keys() - digests:
            del self._profiles[gone]

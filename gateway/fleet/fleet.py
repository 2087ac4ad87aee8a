"""The hosts together: who has which model, who may be asked, and who is at work."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from adapters.errors import HostError, HostLacksModel, HostUnreachable, NoHost
from adapters.ollama.profile import offers
from gateway.fleet.host import Host, View
from gateway.fleet.prober import Prober
from gateway.fleet.profiles import Learner, Profiles
from gateway.log import log
from gateway.routing import Candidate

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from adapters.types import Model, Profile
    from gateway.config import HostSettings, Timeouts
    from gateway.metrics import Metrics

DEMO = "demo"
"""The label of the simulated host that stands beside the real ones; no other host can have it."""

REFRESH = 1.0
"""Seconds that a request for a model that nobody seems to have may wait for a fresh look at the hosts."""


class Fleet:
    """All hosts.

    Args:
        hosts: Where they are.
        timeouts: How long a call may take.
        interval: Seconds between two looks at a host.
        metrics: Where it is counted what becomes of them.
        learns: Whether the hosts are asked in the background what their models are like.

    Attributes:
        hosts: By label, in the order of the configuration.
        changes: How often it changed which models there are.
    """

    def __init__(
        self,
        hosts: Iterable[HostSettings],
        *,
        timeouts: Timeouts,
        interval: float,
        metrics: Metrics,
        learns: bool = True,
    ) -> None:
        self.hosts = {host.label: Host(host, timeouts) for host in hosts}
        self._probers = {label: Prober(host, interval, partial(self._see, host)) for label, host in self.hosts.items()}
        self._profiles = Profiles()
        self._learners = {
            label: Learner(host, self._probers[label], self._profiles) for label, host in self.hosts.items() if learns
        }
        self._metrics = metrics
        self.changes = 0
        self._turn = 0

    def start(self) -> None:
        """Begin to look at the hosts."""
        for prober in self._probers.values():
            prober.start()

    async def seen(self, labels: Iterable[str] | None = None, *, within: float | None = None) -> None:
        """Look at hosts at once, those that are down included, and wait until that is done.

        Not even the pause after the last look is kept, so this is not for what any caller can bring about.

        Args:
            labels: Which hosts; None for all.
            within: Seconds to wait at most; the looks go on after that.
        """
        which = self._probers if labels is None else labels
        await _over([self._probers[label].look(hurry=True) for label in which], within)

    async def stop(self) -> None:
        """Look no more, and close every connection."""
        await asyncio.gather(*(prober.stop() for prober in self._probers.values()))
        await asyncio.gather(*(learner.stop() for learner in self._learners.values()))
        await self._profiles.stop()
        await asyncio.gather(*(prober.close() for prober in self._probers.values()))
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

    def judge(self, model: str) -> Candidate:
        """Return a host that is asked about a model which no host is known to have: the one that is up longest unasked.

        Raises:
            NoHost: None is up.
        """
        up = self.up()
        if not up:
            raise NoHost("None of the hosts is up. Try again later.")
        host = min(up, key=lambda one: one.turn)
        return Candidate(host=host.label, model=model, parallel=host.parallel, turn=host.turn)

    def up(self) -> list[Host]:
        """Return the hosts that are up; the simulated one only where no other is."""
        up = [host for host in self.hosts.values() if host.view.up]
        return [host for host in up if host.label != DEMO] or up

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

    def unseen(self) -> int:
        """Return how many hosts were never up, so that nobody knows what they have."""
        return sum(not host.view.up and host.view.version is None for host in self.hosts.values())

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
        """Return each model, as its host calls it, with the host and the number of calls that it works on."""
        return [
            (host.view.models[key].name if key in host.view.models else key, label, count)
            for label, host in self.hosts.items()
            for key, count in host.at_work()
        ]

    def loaded(self, choice: Candidate) -> None:
        """A model that was cold at a host is resident there now: look at what else that changed."""
        self._probers[choice.host].look_now()

    def look(self, labels: Iterable[str]) -> None:
        """There is a reason to look at these hosts before long."""
        for label in labels:
            self._probers[label].look_now()

    async def refresh(self) -> None:
        """Look at every host that is up or was not looked at yet, and wait a little for what that shows."""
        labels = [host.label for host in self.hosts.values() if host.view.up or host.view.error is None]
        await _over([self._probers[label].look() for label in labels], REFRESH)

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
            self._see(host, replace(host.view, up=False, residents={}, error=error))
        elif isinstance(error, HostLacksModel):
            models = {name: model for name, model in host.view.models.items() if name != key}
            self._see(host, replace(host.view, models=models))
        self._probers[host.label].look_now()

    def known(self, choice: Candidate) -> Profile | None:
        """Return what a model is like, where a host has told it already."""
        return self._profiles.known((choice.digest, self.hosts[choice.host].view.version))

    async def profile(self, choice: Candidate) -> Profile:
        """Return what a model is like, asked once for each digest and version of Ollama.

        Raises:
            HostError: The host does not tell.
            OutOfDescriptors: The gateway cannot ask.
        """
        ask = partial(self._probers[choice.host].profile, choice.model)
        if not choice.digest:  # nothing would show that other weights stand behind the name now
            return await ask()
        return await self._profiles.get((choice.digest, self.hosts[choice.host].view.version), ask)

    def told(self, host: Host, model: Model) -> Profile | None:
        """Return what a model of a host is like, where that is known."""
        return self._profiles.known((model.digest, host.view.version))

    def able(self, capability: str) -> list[str]:
        """Return the models of healthy hosts that are known to have a capability, by their short names."""
        return sorted(
            places[0][1].name.removesuffix(":latest")
            for places in self.models().values()
            if any(profile and offers(profile, capability) for profile in (self.told(*place) for place in places))
        )

    def _see(self, host: Host, view: View) -> None:
        """Replace what is known of a host, and tell of it. Every change goes through here."""
        before = host.view
        host.see(view)
        self._metrics.host_up.labels(host.label).set(view.up)
        if view.up and not before.up:
            log("host is up", host=host.label, version=str(view.version), models=len(view.models))
        elif view.error is not None and (before.up or before.error is None):
            reason = view.error.detail or view.error.message
            log("host is down", "warning", host=host.label, url=host.hop.url, reason=reason)
        different = view.models is not before.models and view.models != before.models
        if different or view.up != before.up:
            self.changes += 1
        if different or view.version != before.version:
            self._profiles.keep(
                {
                    (model.digest, host.view.version)
                    for host in self.hosts.values()
                    for model in host.view.models.values()
                }
            )
        learner = self._learners.get(host.label)
        if learner is not None:
            learner.learn()


async def _over(looks: Collection[asyncio.Future[None]], within: float | None) -> None:
    """Wait until looks are over, and no longer than this."""
    if looks:
        await asyncio.wait(looks, timeout=within)

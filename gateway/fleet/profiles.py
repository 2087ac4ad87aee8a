"""What models are like: asked of a host once for each digest and version, before a request needs it where possible."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from adapters.errors import HostError, OutOfDescriptors
from gateway.log import log

if TYPE_CHECKING:
    from collections.abc import Collection

    from adapters.ollama.inventory import Version
    from adapters.types import Profile
    from gateway.fleet.host import Host
    from gateway.fleet.prober import Prober

Weights: TypeAlias = "tuple[str, Version | None]"
"""The digest of a model and the version that runs it: what a model can depends on both (wire.md 1.10)."""

PAUSE = 0.02
"""Seconds between two questions to a host in the background, so that a thousand models are no storm."""


class Profiles:
    """What is known of models, and who is asking for more."""

    def __init__(self) -> None:
        self._known: dict[Weights, Profile] = {}
        self._asking: dict[Weights, asyncio.Task[Profile]] = {}

    def known(self, weights: Weights) -> Profile | None:
        """Return what was told of a model; None for what nobody told yet."""
        return self._known.get(weights)

    def awaited(self, weights: Weights) -> bool:
        """Whether somebody is asking."""
        return weights in self._asking

    async def get(self, weights: Weights, ask: Callable[[], Coroutine[Any, Any, Profile]]) -> Profile:
        """Return what is known of a model, or ask; those who come meanwhile wait for the same answer.

        Raises:
            HostError: The host does not tell. The next one asks anew.
            OutOfDescriptors: The gateway cannot ask.
        """
        profile = self._known.get(weights)
        if profile is not None:
            return profile
        asking = self._asking.get(weights)
        if asking is None:
            asking = self._asking[weights] = asyncio.create_task(ask())
            asking.add_done_callback(partial(self._answered, weights))
        # Several may wait for one answer; one of them that leaves must not take it from the others.
        return await asyncio.shield(asking)

    def keep(self, present: Collection[Weights]) -> None:
        """Forget what no host has any more."""
        for gone in self._known.keys() - present:
            del self._known[gone]

    async def stop(self) -> None:
        """Ask no more."""
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    def _answered(self, weights: Weights, asking: asyncio.Task[Profile]) -> None:
        del self._asking[weights]
        # The exception is looked at here, for whoever asked may have left.
        if not asking.cancelled() and asking.exception() is None:
            self._known[weights] = asking.result()


class Learner:
    """Asks one host in the background for what nobody knows of its models yet, one after the other.

    The first failure ends a round, and the next look at the host begins another, in which what failed most often comes
    last. So a host that does not tell is asked one thing at each look, and a model that cannot be told of holds up no
    other. Nobody is told of a failure: whoever needs to know asks as well, and is told then.

    Args:
        host: The host; only its view is read.
        prober: Who can ask it.
        profiles: Where everything is known that any host told.
    """

    def __init__(self, host: Host, prober: Prober, profiles: Profiles) -> None:
        self._host = host
        self._prober = prober
        self._profiles = profiles
        self._failures: dict[Weights, int] = {}
        self._round: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether a round goes on."""
        return self._round is not None and not self._round.done()

    def learn(self) -> None:
        """The host was looked at: begin a round, where there is something to learn and none goes on."""
        if self._host.view.up and not self.busy:
            unknown = self._unknown()
            self._failures = {weights: self._failures.get(weights, 0) for weights in unknown}
            if unknown:
                models = sorted(unknown.items(), key=lambda item: self._failures[item[0]])
                self._round = asyncio.create_task(self._ask(models), name=f"learner of {self._host.label}")

    async def stop(self) -> None:
        """Learn no more."""
        if self._round is not None:
            self._round.cancel()
            await asyncio.gather(self._round, return_exceptions=True)

    def _unknown(self) -> dict[Weights, str]:
        """Return what nobody knows yet, with the host's name for it. Without a digest nothing can be remembered."""
        view = self._host.view
        return {
            weights: model.name
            for model in view.models.values()
            if model.digest and self._profiles.known(weights := (model.digest, view.version)) is None
        }

    async def _ask(self, models: list[tuple[Weights, str]]) -> None:
        version = self._host.view.version
        for weights, model in models:
            if self._profiles.known(weights) is not None or self._profiles.awaited(weights):
                continue
            if not self._host.view.up or self._host.view.version != version:
                return  # what it would say now is not what was to be learned
            try:
                await self._profiles.get(weights, partial(self._prober.profile, model))
            except Exception as error:  # noqa: BLE001 - a mistake of ours must not go unseen, for nobody waits here
                self._failures[weights] += 1
                if not isinstance(error, HostError | OutOfDescriptors):
                    log("look at host failed", "error", exception=error, host=self._host.label)
                return
            await asyncio.sleep(PAUSE)

"""One call's life: choose a host, dial, wait for the first event, commit, stream, close.

Until the first event nothing has been sent to the caller, so a failure means another host, or a true HTTP status. After
it a failure is an event inside the stream. An answer that is not streamed is committed when it is whole.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeAlias

from adapters.errors import HostAnswer, HostBusy, HostError, HostLacksModel, LacksCapability, ModelNotFound
from adapters.ollama.calls import decode_refusal, decoder, encode_request
from adapters.ollama.native.request import NativeRequest
from adapters.ollama.profile import can_think, fit, lacking, must_know, needs_profile
from adapters.types import Failure, Finish, TextRequest
from gateway.absence import absent
from gateway.routing import Candidate, rank

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from adapters.errors import GatewayError
    from adapters.ollama.calls import Decoder
    from adapters.types import Event, Profile, Request
    from gateway.catalogue import Catalogue
    from gateway.fleet import Fleet, Host
    from gateway.hop import HopResponse
    from gateway.record import Account

Prepare: TypeAlias = "Callable[[Any], Awaitable[Request]]"

ERROR_LIMIT = 1024 * 1024
"""The largest error body that is read from a host, in bytes."""

SETTLE = 1.0
"""Seconds that a host may take to end its answer after the last event; then its connection is not used again."""


class Exchange:
    """One native call, asked of whichever host can answer it.

    Made for one request; `close` must be called, whatever happens.

    Args:
        fleet: The hosts.
        catalogue: What the configuration says of the model.
        request: What is asked.
        account: Where it is noted what came of it.
        wanted: Which weights must answer; empty for any that the model's name stands for.
        prefer: The label of the host that is asked first as long as it has a free slot; empty for the best one.
        prepare: Brings what the request still lacks, as soon as a host is found that can serve it.

    Attributes:
        request: The request with the configuration's defaults, and with what turned out to be ignored.
        digest: Which weights answer; empty before the first event.
        media_type: The host's `content-type` for the answer; empty before the first event, and when it gave none.
    """

    __slots__ = (
        "_account",
        "_catalogue",
        "_choice",
        "_committed",
        "_decoder",
        "_fleet",
        "_judge",
        "_key",
        "_prefer",
        "_prepare",
        "_response",
        "_wanted",
        "digest",
        "media_type",
        "request",
    )

    def __init__(
        self,
        fleet: Fleet,
        catalogue: Catalogue,
        request: Request,
        account: Account,
        *,
        wanted: str = "",
        prefer: str = "",
        prepare: Prepare | None = None,
    ) -> None:
        self._fleet = fleet
        self._catalogue = catalogue
        self._key = catalogue.key(request.model)
        self._account = account
        self._wanted = wanted
        self._prefer = prefer
        self._prepare = prepare
        self._judge: Candidate | None = None
        self._choice: Candidate | None = None
        self._response: HopResponse | None = None
        self._decoder: Decoder | None = None
        self._committed = False
        self.request = catalogue.apply(self._key, request)
        self.digest = ""
        self.media_type = b""

    async def open(self) -> list[Event]:
        """Return the first events, or all of them when the request is not for a stream.

        Raises:
            GatewayError: No host answers, or the request is at fault.
        """
        tried: set[str] = set()
        worst: HostError | None = None
        lack: LacksCapability | None = None
        chances = 1  # a request that hosts fail over may be the reason itself, so it is not taken to all of them
        candidates = self._candidates(tried) or await self._others()
        while candidates:
            choice = self._choose(candidates)
            try:
                events = await self._attempt(choice, len(candidates))
            except LacksCapability as error:  # other weights by this name, or another version, may have it
                self._release()
                lack = error.with_traceback(None)
            except HostError as error:
                self._release()
                if self._judge is None:
                    self._fleet.failed(choice, self._key, error)
                if error.elsewhere == "once":
                    if not chances:
                        raise
                    chances -= 1
                worst = _worse(worst, error.with_traceback(None))  # or this frame would hold itself
            else:
                self._committed = True
                return events
            tried.add(choice.host)
            candidates = self._candidates(tried)
        raise self._verdict(worst, lack)

    async def next(self) -> list[Event]:
        """Return the next events; none when the answer has ended.

        What a host does wrong is an event, and the last one.
        """
        response, reader = self._response, self._decoder
        events: list[Event] = []
        if response is None or reader is None:
            return events
        try:
            while not events and not reader.finished:
                data = await response.read()
                events = reader.feed(data) if data else reader.close(framed=response.framed)
        except HostError as error:
            events = [Failure(error)]
        if events:
            self._note(events[-1])
        return events

    @property
    def settled(self) -> bool:
        """Whether nothing more comes from the host."""
        return self._response is None or self._response.complete

    async def settle(self) -> None:
        """After the last event: let the host end its answer, so that its connection can serve another call."""
        self._leave()
        response = self._response
        if response is None:
            return
        try:
            async with asyncio.timeout(SETTLE):
                await response.read()
        except (HostError, TimeoutError):
            response.close()  # the answer is whole; only its connection is of no more use

    def close(self) -> None:
        """Let go of the host. One that still works on the answer is stopped by closing its connection."""
        self._release()

    async def _others(self) -> list[Candidate]:
        """Return who can be asked at first where no host is known to have the model.

        What a native caller asks of a model that no host is known to have is for a host to judge: it says what is
        wrong with the name in its own words, and may have means of its own, such as Ollama's cloud.

        Raises:
            GatewayError: Nobody can be asked.
        """
        relayed = isinstance(self.request, NativeRequest)
        if self.request.model or not relayed:
            await self._fleet.refresh()  # it may have been pulled a moment ago
            candidates = self._candidates(set())
            if candidates or not relayed:
                return candidates
        if self.request.model and self._fleet.down(self._key):
            raise absent(self._fleet, self._catalogue, self._key, self.request.model)
        self._judge = self._fleet.judge(self._catalogue.target(self.request.model))
        return [self._judge]

    def _verdict(self, worst: HostError | None, lack: LacksCapability | None) -> GatewayError:
        """Return what the caller is told when no host answers."""
        if worst is not None and not isinstance(worst, HostLacksModel):
            return worst
        if lack is not None:
            return lack if lack.refusal else lacking(lack, self._fleet.able(lack.capability))
        if worst is not None and not self.request.model:
            return worst
        error = absent(self._fleet, self._catalogue, self._key, self.request.model)
        return worst if worst is not None and worst.refusal and isinstance(error, ModelNotFound) else error

    def _candidates(self, tried: set[str]) -> list[Candidate]:
        if self._judge is not None:
            return []
        candidates = self._fleet.candidates(self._key, tried)
        if self._wanted:
            candidates = [one for one in candidates if one.digest == self._wanted]
        request = self.request
        if isinstance(request, TextRequest) and request.think:
            # Whether a model can think may depend on the host's version, and a wish to think is not worth a refusal.
            thinking = [one for one in candidates if can_think(self._fleet.known(one))]
            return thinking or candidates
        return candidates

    def _choose(self, candidates: list[Candidate]) -> Candidate:
        for one in candidates if self._prefer else ():
            if one.host == self._prefer and one.in_flight < one.parallel:
                return one
        return rank(candidates)[0]

    async def _attempt(self, choice: Candidate, of: int) -> list[Event]:
        account, request = self._account, self.request
        profile = await self._profile(choice, request)
        if profile is not None:
            request = fit(request, profile, self._fleet.hosts[choice.host].view.version)
        if self._prepare is not None:
            request = await self._prepare(request)
        host = self._fleet.enter(choice, self._key)
        self._choice = choice
        account.begin_attempt()
        account.host, account.model = choice.host, choice.model if self._judge is None else ""
        account.why = f"{choice.reason}, {of} host{'s' if of > 1 else ''}"
        self._response = response = await self._dial(host, choice, request, profile)
        self._decoder = decoder(request, call_id=lambda index: f"call_{account.token}_{index}")
        events = await self._first_events(whole=not request.stream)
        if not choice.resident and not (isinstance(request, NativeRequest) and not request.runs):
            self._fleet.loaded(choice)
        self.request, self.digest, self.media_type = request, choice.digest, response.media_type
        return events

    async def _profile(self, choice: Candidate, request: Request) -> Profile | None:
        """Return what is known of the model, and ask for it where it matters; None when nobody knows."""
        profile = self._fleet.known(choice)
        if profile is not None or not needs_profile(request):
            return profile
        try:
            return await self._fleet.profile(choice)
        except HostError:
            if must_know(request):
                raise
            return None

    async def _dial(self, host: Host, choice: Candidate, request: Request, profile: Profile | None) -> HopResponse:
        call = encode_request(request, model=choice.model, profile=profile, version=host.view.version)
        response = await host.hop.send(call)
        if response.status == 200:
            return response
        try:
            body = await response.body(ERROR_LIMIT)
        finally:
            response.close()
        error = decode_refusal(request, response.status, body)
        if isinstance(request, NativeRequest):
            error.refusal = HostAnswer(response.status, response.media_type, body)
        raise error

    async def _first_events(self, *, whole: bool) -> list[Event]:
        """Return the events up to the point of commitment.

        Raises:
            GatewayError: The host failed before it.
        """
        events: list[Event] = []
        while more := await self.next():
            if not isinstance(more[0], Failure):
                self._account.first()
            events += more
            last = more[-1]
            if isinstance(last, Failure) and (whole or len(events) == 1):
                raise last.error
            if not whole or isinstance(last, Finish):
                break
        return events

    def _note(self, event: Event) -> None:
        """Remember how the answer ended, when it has."""
        match event:
            case Finish():
                self._account.finish, self._account.usage = event.reason, event.usage
            case Failure():
                self._account.error = event.error
                choice = self._choice
                self._release()  # the host may still be at work on what nobody waits for
                if self._committed and choice is not None and isinstance(event.error, HostError):
                    self._fleet.failed(choice, self._key, event.error)

    def _release(self) -> None:
        response, self._response = self._response, None
        self._decoder = None
        if response is not None:
            response.close()
        self._leave()

    def _leave(self) -> None:
        """Give back the slot."""
        choice, self._choice = self._choice, None
        if choice is not None:
            self._fleet.leave(choice, self._key)


def _worse(one: HostError | None, other: HostError) -> HostError:
    """Return which of two hosts' failures the caller is told of.

    That a host turned out to lack the model says nothing when another one has it and failed; and a full queue is the
    one failure after which it is worth to come back soon.
    """
    if one is None or isinstance(one, HostLacksModel) or isinstance(other, HostBusy):
        return other
    return one if isinstance(other, HostLacksModel) or isinstance(one, HostBusy) else other

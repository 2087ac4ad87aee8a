"""Several native calls, one after the other, that make one answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from adapters.errors import GatewayError
from adapters.types import Failure, Finish
from gateway.routing import Spread

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapters.emulation import Emulation
    from adapters.types import ChatRequest, Event, Request
    from gateway.exchange import Exchange
    from gateway.record import Account


Ask: TypeAlias = "Callable[[ChatRequest, Account, Spread], Exchange]"


class Sequel:
    """An answer that may take more than one exchange; to whoever asks for it, it looks like one.

    The further calls go to the host that answered the first one, or at least to the same weights.

    Args:
        ask: Makes an exchange of a request, for a host's label and a digest.
        emulation: Says what to ask next, and what the caller gets.
        account: Where it is noted what came of it.
    """

    def __init__(self, ask: Ask, emulation: Emulation, account: Account, spread: Spread) -> None:
        self._ask = ask
        self._emulation = emulation
        self._account = account
        self._stream = emulation.request.stream
        self._exchange = ask(emulation.request, account, spread)
        self._ended = False
        self.request: Request = self._exchange.request
        self.digest = ""

    async def open(self) -> list[Event]:
        """Return the first events, or all of them when the request is not for a stream.

        Raises:
            GatewayError: No host answers, or the request is at fault.
        """
        events = self._take(await self._exchange.open())
        self.request, self.digest = self._exchange.request, self._exchange.digest
        while not self._ended and not (events and self._stream):
            events += await self.next()
        if len(events) == 1 and isinstance(events[0], Failure):
            raise events[0].error
        return events

    async def next(self) -> list[Event]:
        """Return the next events; none when the answer has ended. What goes wrong is the last event."""
        events: list[Event] = []
        while not events and not self._ended:
            if self._emulation.again:
                events = self._take(await self._open_next())
            else:
                events = self._take(await self._exchange.next())
        return events

    async def _open_next(self) -> list[Event]:
        """Return the first events of the next native call, which is a part of the same answer."""
        account, emulation = self._account, self._emulation
        emulation.again = False
        await self._exchange.settle()
        self._exchange.close()
        first_at = account.first_at
        self._exchange = self._ask(emulation.request, account, Spread(digest=self.digest, host=account.host))
        try:
            return await self._exchange.open()
        except GatewayError as error:
            return [Failure(error)]
        finally:
            account.first_at = first_at

    @property
    def settled(self) -> bool:
        """Whether nothing more comes from the host."""
        return self._exchange.settled

    async def settle(self) -> None:
        """After the last event: let the host end its answer, so that its connection can serve another call."""
        await self._exchange.settle()

    def close(self) -> None:
        """Let go of the host."""
        self._exchange.close()
        if not self._ended and self._emulation.spent.prompt:
            self._account.usage = self._emulation.spent

    def _take(self, raw: list[Event]) -> list[Event]:
        events = self._emulation.feed(raw)
        if events:
            last = events[-1]
            if isinstance(last, Finish):
                self._account.finish, self._account.usage = last.reason, last.usage
                self._ended = True
            elif isinstance(last, Failure):
                self._account.error, self._account.usage = last.error, self._emulation.spent
                self._ended = True
        return events

"""Several native calls, one after the other, that make one answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.types import Failure, Finish

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapters.emulation import Emulation
    from adapters.types import ChatRequest, Event, Request
    from gateway.exchange import Exchange
    from gateway.record import Account


class Sequel:
    """An answer that may take more than one exchange; to whoever asks for it, it looks like one.

    Args:
        ask: Makes an exchange of a request.
        emulation: Says what to ask next, and what the caller gets.
        account: Where it is noted what came of it.
    """

    def __init__(self, ask: Callable[[ChatRequest], Exchange], emulation: Emulation, account: Account) -> None:
        self._ask = ask
        self._emulation = emulation
        self._account = account
        self._stream = emulation.request.stream
        self._exchange = ask(emulation.request)
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
        """Return the next events; none when the answer has ended.

        Raises:
            GatewayError: A further call is answered by no host.
        """
        events: list[Event] = []
        while not events and not self._ended:
            if self._emulation.again:
                self._emulation.again = False
                await self._exchange.settle()
                self._exchange.close()
                self._exchange = self._ask(self._emulation.request)
                events = self._take(await self._exchange.open())
            else:
                events = self._take(await self._exchange.next())
        return events

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

    def _take(self, raw: list[Event]) -> list[Event]:
        events = self._emulation.feed(raw)
        if events:
            last = events[-1]
            if isinstance(last, Finish):
                self._account.finish, self._account.usage = last.reason, last.usage
                self._ended = True
            elif isinstance(last, Failure):
                self._account.error = last.error
                self._ended = True
        return events

"""What can end a request from outside: its caller leaves or is too slow, or the gateway stops."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

    from starlette.types import Scope

    from adapters.errors import GatewayError


class Ending:
    """Cancels the task that answers a request when there is nobody to answer any more, or no time.

    Use it around the work, in the task that does it: what ends the work is raised out of the block in place of the
    cancellation.

    A task that waits for `http.disconnect` would tell as well that the caller left. It would cost a tenth of a request,
    so the server (`gateway.serving`) tells it directly, by `scope["departure"]`.

    Args:
        scope: The request.
        running: Where it can be found while the work goes on.
        unhurried: Whether the request's body may take as long as it goes on; whoever reads it sees to that.
    """

    __slots__ = ("_departure", "_error", "_running", "_task", "_unhurried")

    def __init__(self, scope: Scope, running: set[Ending], *, unhurried: bool = False) -> None:
        self._departure = scope["departure"]
        self._running = running
        self._unhurried = unhurried
        self._error: GatewayError | None = None

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._running.add(self)
        self._departure.tell = self.end
        self._departure.unhurried = self._unhurried
        if self._departure.gone is not None:
            self.end(self._departure.gone)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._departure.tell = None
        self._running.discard(self)
        if self._error is not None and kind is asyncio.CancelledError:
            self._task.uncancel()
            raise self._error from None

    def end(self, error: GatewayError) -> None:
        """End the work for a reason; a second reason counts for nothing."""
        if self._error is None:
            self._error = error
            self._task.cancel()

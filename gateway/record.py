"""What is remembered of one request, and where it goes when the request has ended: metrics and the log."""

from __future__ import annotations

import random
import re
from time import perf_counter
from typing import TYPE_CHECKING

from adapters.types import Usage
from gateway.log import Line, now, write

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from adapters.errors import GatewayError
    from gateway.metrics import Metrics

LONGEST = 512
"""Characters of what a caller says that are logged at most."""

_random = random.Random()
_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")


class RequestLine(Line, kw_only=True):
    """What the log says of a request; docs/operations.md has the meaning of each field."""

    request_id: str
    caller: str = ""
    user: str | None = None
    method: str
    path: str
    status: int
    model: str = ""
    host: str = ""
    route: str = ""
    tried: int = 1
    stream: bool = False
    finish: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    first_token_s: float | None = None
    duration_s: float
    error: str = ""
    param: str = ""
    reason: str = ""
    detail: str = ""


class Account:
    """What one exchange did: who was asked, who answered, what it took.

    Attributes:
        token: Random hexadecimal digits that no other request has; ids are made of it.
        model, host: Who answered; empty as long as nobody has. Several hosts are separated by a comma and a space.
        why: Why that host.
        tried: How many native calls were made, to whichever hosts.
        finish: Why the answer ended.
        usage: What it took.
        error: What went wrong.
        first_at: The moment of the answer's first piece, on the clock of `time.perf_counter`; 0 before.
    """

    __slots__ = ("error", "finish", "first_at", "host", "model", "token", "tried", "usage", "why")

    def __init__(self, token: str) -> None:
        self.token = token
        self.model = self.host = self.why = self.finish = ""
        self.tried = 0
        self.usage: Usage | None = None
        self.error: GatewayError | None = None
        self.first_at = 0.0

    def begin_attempt(self) -> None:
        """A host is called; what an earlier one did no longer counts."""
        self.tried += 1
        self.error = self.usage = None
        self.finish = ""
        self.first_at = 0.0

    def first(self) -> None:
        """The first piece of the answer is there."""
        if not self.first_at:
            self.first_at = perf_counter()


class Record(Account):
    """One request, from its first byte to its end.

    Attributes:
        request_id: What the caller sees in `x-request-id`: its own id if it sent a usable one.
        method, path: As asked.
        route: Which of our endpoints answers; empty for none.
        caller: The name of the key; empty without one.
        user: Who the caller says its end user is.
        asked: The model as asked.
        status: The HTTP status that was sent; 0 before.
        stream: Whether the answer is a stream.
        down: The hosts that were meant and are down, separated by a comma and a space.
    """

    __slots__ = (
        "_duration", "_metrics", "_start", "asked", "caller", "down", "method", "path", "request_id", "route", "status",
        "stream", "user",
    )  # fmt: skip

    def __init__(self, metrics: Metrics, method: str, path: str, request_id: bytes = b"") -> None:
        super().__init__(f"{_random.getrandbits(112):028x}")
        self._metrics = metrics
        self._start = perf_counter()
        self._duration = 0.0
        self.request_id = request_id.decode() if _REQUEST_ID.fullmatch(request_id) else f"req_{self.token}"
        self.method, self.path = method, path[:LONGEST]
        self.route = self.caller = self.asked = self.down = ""
        self.user: str | None = None
        self.status = 0
        self.stream = False

    def part(self, place: int) -> Account:
        """Return the account of one exchange among several that make up the answer."""
        return Account(f"{self.token}_{place}")

    def gather(self, parts: Sequence[Account], total: Callable[[Sequence[Usage]], Usage]) -> None:
        """Take over what the exchanges did that make up the answer.

        Args:
            parts: The account of each.
            total: What they took together, from what each took.
        """
        chosen = [part for part in parts if part.host]
        if chosen:
            self.model, self.why = chosen[0].model, chosen[0].why
            self.host = ", ".join(dict.fromkeys(part.host for part in chosen))
        if any(part.usage is not None for part in parts):
            self.usage = total([part.usage or Usage() for part in parts])
        self.tried = sum(part.tried for part in parts)
        self.finish = parts[0].finish
        self.error = self.error or next((part.error for part in parts if part.error is not None), None)
        self.first_at = min((part.first_at for part in parts if part.first_at), default=0.0)

    def answered(self) -> None:
        """The caller has all of the answer; what is still to be done is not its time."""
        self._duration = perf_counter() - self._start

    def close(self) -> None:
        """The request has ended."""
        duration = self._duration or perf_counter() - self._start
        error, usage = self.error, self.usage
        first = self.first_at - self._start if self.first_at else 0.0
        self._metrics.count(
            self.route, self.model, self.host.partition(", ")[0], self.status,
            code=error.code if error else "", duration=duration, first=first, usage=usage,
        )  # fmt: skip
        write(
            RequestLine(
                time=now(),
                event="request",
                level="error" if error is not None and error.fault == "gateway" else "info",
                request_id=self.request_id,
                caller=self.caller,
                user=self.user and self.user[:LONGEST],
                method=self.method,
                path=self.path,
                status=self.status,
                model=self.model or self.asked[:LONGEST],
                host=self.host,
                route=self.why,
                tried=max(1, self.tried),
                stream=self.stream,
                finish=self.finish,
                prompt_tokens=usage.prompt if usage else None,
                completion_tokens=usage.completion if usage else None,
                first_token_s=round(first, 4) if first else None,
                duration_s=round(duration, 4),
                error=error.code if error else "",
                param=(error.param or "")[:LONGEST] if error else "",
                # What is said of a caller's mistake may repeat a piece of the request.
                reason=error.message if error and error.fault != "caller" else "",
                detail=error.detail if error else "",
            )
        )

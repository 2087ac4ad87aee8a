"""A request as it came in, for the log of a simulator and for those who answer it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from gateway.simulator.faults import Fail
    from gateway.simulator.scheduler import Lease
    from gateway.simulator.uploads import Upload


class SimulatedRequest:
    """One request that a simulator got.

    Attributes:
        method: The HTTP method.
        target: The path and query as they came.
        headers: The headers in order, with names as they came.
        body: The body; empty for a blob, which is taken piece by piece and not kept.
        connection: The number of the connection it came over, from 1.
        ended: How it ended: with its whole answer, because the client left, or by a fault; None while it runs, and when
            the simulator was stopped meanwhile.
        lease: The hold it has on a runner.
        inference: Whether a model was asked for an answer, and what became of it counts.
        failure: How its generation is to fail.
        upload: The body of a blob, as it comes in.
        parameter: The last part of its path, decoded, such as a blob's digest.
    """

    def __init__(
        self,
        *,
        method: str,
        target: str,
        headers: list[tuple[str, str]],
        body: bytes = b"",
        connection: int = 0,
        upload: Upload | None = None,
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        self.connection = connection
        self.ended: Literal["complete", "cancelled", "fault"] | None = None
        self.lease: Lease | None = None
        self.inference = False
        self.failure: Fail | None = None
        self.upload = upload
        self.parameter = ""

    def __repr__(self) -> str:
        return f"<{self.method} {self.target} #{self.connection} {self.ended or 'running'}>"

    @property
    def path(self) -> str:
        """The path alone."""
        return self.target.partition("?")[0]

    @property
    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ValueError: It is not JSON.
        """
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """Return the first value of a header, whatever the case of its name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes in."""
        if self.upload is None:
            yield self.body
            return
        async for piece in self.upload:
            yield piece

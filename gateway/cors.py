"""Pages of other origins: what a browser is told, so that it lets them call (the Fetch standard's CORS protocol)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

EXPOSED = (
    "allow",
    "retry-after",
    "www-authenticate",
    "x-gateway-host",
    "x-gateway-hosts-down",
    "x-gateway-ignored",
    "x-gateway-route",
    "x-request-id",
    "x-should-retry",
)
"""Headers of answers that a page may read. Those of the content it may read anyway."""

MAX_AGE = 7200
"""Seconds that a browser may remember an answer to a preflight; Chromium's limit."""


class Cors(CORSMiddleware):
    """Lets pages of some origins call, and read what they get. Everything goes through it, refusals as well.

    Any header may be sent, for each SDK has its own; cookies are not asked for, since keys are not in cookies. A
    preflight of another origin is left to the application, which says in an answer and in the log why it is refused.

    Args:
        app: The application.
        origins: The origins, or `*`.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=("DELETE", "GET", "HEAD", "OPTIONS", "POST"),
            allow_headers=("*",),
            allow_private_network=True,
            expose_headers=EXPOSED,
            max_age=MAX_AGE,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            origin = headers.get("origin")
            if origin is not None and not self.is_allowed_origin(origin):
                await self.simple_response(scope, receive, send, request_headers=headers)
                return
        await super().__call__(scope, receive, send)

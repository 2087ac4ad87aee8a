"""What only a host knows: `/api/me`, `/api/signout`, `/api/experimental/…`, and whatever newer servers have.

It is asked of one host, and the answer is the host's, byte for byte.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.routing import Match

from adapters.errors import HostUnreachable, InvalidRequest, MethodNotAllowed
from adapters.types import Call
from gateway.api.answering import reply, request_id
from gateway.api.body import read_body
from gateway.api.ending import Ending
from gateway.api.giving import answer_headers
from gateway.management.targets import wished

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Receive, Scope, Send

    from gateway.api.answering import Headers
    from gateway.config import Settings
    from gateway.hop import HopResponse
    from gateway.management.managed import Managed
    from gateway.record import Record

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""TRACE is not among them: a host's answer to it would show the headers that the configuration adds."""

_PATH = re.compile(
    rb"/api(?:/(?!\.{1,2}(?:/|\Z))(?:[\w~:@+,=.-]|%(?!2[5EeFf]|5[Cc]|7[Ff]|[01]|[Cc][01])[0-9A-Fa-f]{2})+)*/?"
).fullmatch
"""A path that every server on the way reads alike: no segment is empty, `.` or `..`, none of that is in disguise."""

_SENT = frozenset({b"accept", b"content-type"})
"""What of the caller's headers a host sees: nothing that says who is asking, or from where."""

_TOLD = frozenset({b"allow", b"content-encoding", b"content-length", b"content-type"})
"""What of a host's headers the caller sees, besides where in the API it is sent."""


class Elsewhere:
    """The application for every address that no route serves.

    Args:
        routes: What is served.
        passing: What answers below `/api/`.
    """

    def __init__(self, routes: Sequence[BaseRoute], passing: ASGIApp) -> None:
        self._routes = routes
        self._passing = passing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if not path.startswith("/api/"):
            raise HTTPException(404)
        # A slash in disguise is none: the path without the one at its end would be the same path.
        slash = scope["raw_path"].endswith(b"/")
        if slash and self._is_served({**scope, "path": path.removesuffix("/")}):
            await _redirect(scope, send)
        else:
            await self._passing(scope, receive, send)

    def _is_served(self, scope: Scope) -> bool:
        return any(route.matches(scope)[0] is Match.FULL for route in self._routes)


async def _redirect(scope: Scope, send: Send) -> None:
    """Send a caller to a path without the slash at its end, as Ollama does (wire.md 1.1).

    That needs no key: it tells nothing but what everyone knows of the API, and the path itself asks for one.
    """
    query: bytes = scope["query_string"]
    location: bytes = scope["raw_path"].removesuffix(b"/") + (b"?" + query if query else b"")
    if scope["method"] != "GET":
        await reply(send, scope["record"], 307, b"", [(b"location", location)])
        return
    link = f'<a href="{escape(location.decode("latin-1"))}">Moved Permanently</a>.\n\n'.encode("latin-1")
    form: Headers = [(b"content-type", b"text/html; charset=utf-8"), (b"location", location)]
    await reply(send, scope["record"], 301, link, form)


class Passing:
    """The endpoint for every path below `/api/` that nothing else serves."""

    def __init__(self, settings: Settings, managed: Managed, running: set[Ending]) -> None:
        self._settings = settings
        self._managed = managed
        self._running = running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record: Record = scope["record"]
        record.route = "api"
        method, target = scope["method"], _target(scope)
        if method not in _METHODS:
            raise MethodNotAllowed(f"{method} is not passed on to a host.", allow=_METHODS)
        headers = tuple(header for header in scope["headers"] if header[0] in _SENT)
        with Ending(scope, self._running):
            body = await read_body(scope, receive, limit=self._settings.max_body)
            call = Call(method=method, target=target, headers=headers, body=body)
            response = await self._ask(call, scope["headers"], record)
            try:
                await _give(response, record, send)
            finally:
                response.close()

    async def _ask(self, call: Call, headers: Headers, record: Record) -> HopResponse:
        """Return the answer of the host that is meant, or of the first that can be reached."""
        targets = self._managed.for_one(wished(headers))
        unreachable: HostUnreachable | None = None
        for label in targets.up:
            record.host, record.why = label, targets.why
            try:
                return await self._managed.hosts[label].hop.send(call)
            except HostUnreachable as error:
                unreachable = error.with_traceback(None)
                self._managed.fleet.look([label])
        assert unreachable is not None
        raise unreachable


def _target(scope: Scope) -> str:
    """Return the path and query as they came.

    Raises:
        InvalidRequest: Some server on the way might take the path for another one.
    """
    path: bytes = scope["raw_path"]
    if not _PATH(path):
        raise InvalidRequest(
            "The path is not passed on to a host, because servers could differ about its meaning. No segment may be "
            "empty, `.` or `..`; letters, digits and - . _ ~ : @ + , = are written as they are, all else is "
            "percent-encoded, except / \\ . % and control characters, which are not allowed."
        )
    query: bytes = scope["query_string"]
    return (path + b"?" + query if query else path).decode("latin-1")


async def _give(response: HopResponse, record: Record, send: Send) -> None:
    """Pass an answer on as it comes. One that is cut ends the caller's connection in the same way."""
    record.status = response.status
    # These have no body, so a length that a host tells all the same could not be kept.
    told = _TOLD - {b"content-length"} if response.status in (204, 304) else _TOLD
    headers = [
        (name, value)
        for name, value in response.headers
        if name in told or (name == b"location" and value.startswith(b"/api/"))
    ]
    headers += [*answer_headers(record, ()), request_id(record)]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": True})  # or the head would wait for a piece
    while piece := await response.read():
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})

"""The outermost layer of our own: each request gets its record, and each failure an answer in the caller's dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.routing import Route

from adapters.errors import (
    BodyTimeout,
    CallerLeft,
    Forbidden,
    GatewayError,
    HostAnswer,
    InternalError,
    MethodNotAllowed,
    Unauthorized,
    UnknownURL,
)
from adapters.ollama.native.errors import encode_refusal
from adapters.openai.errors import encode_error
from gateway.api.unserved import unserved
from gateway.log import log
from gateway.management.targets import DOWN
from gateway.record import LONGEST, Record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.routing import BaseRoute, Router
    from starlette.types import ASGIApp, Receive, Scope, Send

    from gateway.metrics import Metrics

Headers = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")


class Answering:
    """The application: gives each request a record, and turns what is raised below into an answer.

    The record stands in the scope under `record`. Its `status` says whether an answer has begun; from then on an error
    is the endpoint's to tell, and what is raised all the same cuts the connection: nobody takes such an answer for a
    whole one.
    """

    def __init__(self, router: Router, metrics: Metrics) -> None:
        self._router = router
        self._metrics = metrics
        self._exact = _exact(router.routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self  # the router then raises its refusals instead of answering them in plain text
        if scope["type"] != "http":
            await self._router(scope, receive, send)
            return
        request_id = b""
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                request_id = value
                break
        record = scope["record"] = Record(self._metrics, scope["method"], scope["path"], request_id)
        app = self._exact.get((scope["method"], scope["path"]), self._router)
        try:
            await app(scope, receive, send)
        except CallerLeft as error:
            record.error, record.status = error, error.status
        except GatewayError as error:
            await _refuse(scope, send, error)
        except HTTPException as error:
            await _refuse(scope, send, _meant(scope, record, error))
        except Exception as error:  # noqa: BLE001 - the outermost layer: nothing may end in a bare 500
            await _refuse(scope, send, told(error, record))
        finally:
            record.close()
            if record.error is not None:
                _forget_frames(record.error)


async def _refuse(scope: Scope, send: Send, error: GatewayError) -> None:
    record: Record = scope["record"]
    record.error = error
    if record.status:
        scope["departure"].cut()
        return
    answer = refusal(error, record.path)
    headers = [(b"content-type", answer.media_type), *error_headers(error), *host_headers(record)]
    await reply(send, record, answer.status, answer.body, headers)


def refusal(error: GatewayError, path: str) -> HostAnswer:
    """Return the answer that tells of a failure, in the shape of the API that is spoken at an address."""
    if is_native(path):
        return encode_refusal(error)
    return HostAnswer(error.status, JSON[1], encode_error(error))


def is_native(path: str) -> bool:
    """Whether Ollama's own API is spoken at an address, so that a failure is told in its shape."""
    return path.startswith("/api/") or path in ("/api", "/")


def _forget_frames(error: GatewayError) -> None:
    """Let go of what was at work when an error was raised.

    Its frames hold the request's body, and where one of them holds the error in turn, only the collector of cycles
    would free them, which seldom looks.
    """
    error.__traceback__ = error.__context__ = error.__cause__ = None


def _exact(routes: Iterable[BaseRoute]) -> dict[tuple[str, str], ASGIApp]:
    """Return the endpoints of fixed addresses, which are found at once: the router would try one after the other."""
    return {
        (method, route.path): route.app
        for route in routes
        if isinstance(route, Route) and not route.param_convertors
        for method in route.methods or ()
    }


async def reply(send: Send, record: Record, status: int, body: bytes, headers: Headers) -> None:
    """Send a whole answer."""
    record.status = status
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length, request_id(record)]})
    await send({"type": "http.response.body", "body": body})


def told(error: Exception, record: Record) -> GatewayError:
    """Return what a caller is told of an error; one that nobody foresaw is a defect, and logged as such."""
    if isinstance(error, GatewayError):
        return error
    log("defect", "error", exception=error, request_id=record.request_id)
    return InternalError("The gateway has a defect. Its log says more.", detail=repr(error))


def request_id(record: Record) -> tuple[bytes, bytes]:
    """Return the header by which a caller can tell us which request it means."""
    return b"x-request-id", record.request_id.encode()


def host_headers(record: Record) -> Headers:
    """Return what the headers of an answer say about the hosts that were asked, and those that could not be."""
    headers: Headers = []
    if record.host:
        headers += (b"x-gateway-host", record.host.encode()), (b"x-gateway-route", record.why.encode())
    if record.down:
        headers.append((DOWN, record.down.encode()))
    return headers


def error_headers(error: GatewayError) -> Headers:
    """Return what the headers of an answer say about an error (wire.md 11.4)."""
    headers: Headers = []
    if not error.retryable:
        headers.append((b"x-should-retry", b"false"))
    if error.retry_after is not None:
        headers.append((b"retry-after", b"%d" % max(1, round(error.retry_after))))
    if isinstance(error, Unauthorized):
        headers.append((b"www-authenticate", b"Bearer"))
    if isinstance(error, BodyTimeout):
        headers.append((b"connection", b"close"))  # what still drips in is not waited for
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", ", ".join(error.allow).encode()))
    return headers


def _meant(scope: Scope, record: Record, raised: HTTPException) -> GatewayError:
    """Return what the router's own refusals mean: no such address, or not by this method."""
    if raised.status_code != 405:
        return UnknownURL(f"Unknown request URL: {record.method} {record.path}. {unserved(record.path)}")
    headers = dict(scope["headers"])
    if record.method == "OPTIONS" and {b"origin", b"access-control-request-method"} <= headers.keys():
        origin = headers[b"origin"].decode("latin-1")[:LONGEST]
        return Forbidden(
            f"Pages of the origin {origin!r} may not call this gateway from a browser. "
            "Add the origin to `cors.origins` in its configuration.",
            detail=f"origin {origin}",
        )
    # With Ollama HEAD stands first.
    first = "HEAD" if is_native(record.path) else ""
    allow = tuple(sorted((raised.headers or {})["Allow"].split(", "), key=lambda method: (method != first, method)))
    served = f"{' and '.join(allow)} {'is' if len(allow) == 1 else 'are'}"
    message = f"{record.method} is not served at {record.path}; {served}."
    return MethodNotAllowed(message, allow=allow)

"""Which path is answered by what, and who is let in: the router of a host (wire.md 1.1, 1.2)."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Awaitable, Callable
from urllib.parse import unquote, urlsplit

from gateway.simulator import account, inventory
from gateway.simulator.answers import Answer, Refusal, Whole, refuse, text
from gateway.simulator.blobs import create_blob, head_blob
from gateway.simulator.chat import chat
from gateway.simulator.creating import create
from gateway.simulator.embed import embed, embeddings
from gateway.simulator.generate import generate
from gateway.simulator.host import Host
from gateway.simulator.incoming import SimulatedRequest
from gateway.simulator.management import copy, delete
from gateway.simulator.pulling import pull, push

Endpoint = Callable[[Host, SimulatedRequest], Awaitable[Answer]]

ROUTES: dict[str, dict[str, Endpoint]] = {
    "/": {"HEAD": inventory.root, "GET": inventory.root},
    "/api/version": {"HEAD": inventory.version, "GET": inventory.version},
    "/api/status": {"GET": inventory.status},
    "/api/tags": {"HEAD": inventory.tags, "GET": inventory.tags},
    "/api/ps": {"GET": inventory.ps},
    "/api/show": {"POST": inventory.show},
    "/api/generate": {"POST": generate},
    "/api/chat": {"POST": chat},
    "/api/embed": {"POST": embed},
    "/api/embeddings": {"POST": embeddings},
    "/api/pull": {"POST": pull},
    "/api/push": {"POST": push},
    "/api/create": {"POST": create},
    "/api/copy": {"POST": copy},
    "/api/delete": {"DELETE": delete},
    "/api/blobs/:digest": {"POST": create_blob, "HEAD": head_blob},
    "/api/me": {"POST": account.me},
    "/api/signout": {"POST": account.signout},
    "/api/user/keys/:key": {"DELETE": account.signout},
    "/api/experimental/web_search": {"POST": account.web_search},
    "/api/experimental/web_fetch": {"POST": account.web_fetch},
    "/api/experimental/model-recommendations": {"GET": account.recommendations},
}
"""Who answers what; a route that ends in a name takes any last part of a path."""

_NAMED = {route.rpartition(":")[0]: route for route in ROUTES if ":" in route}

INFERENCE = frozenset({"/api/generate", "/api/chat", "/api/embed", "/api/embeddings"})
"""The paths that run a model."""

_LOCAL_SUFFIXES = (".localhost", ".local", ".internal")

_ALLOWED_HEADERS = (
    "Authorization,Content-Type,User-Agent,Accept,X-Requested-With,Openai-Beta,X-Stainless-Arch,X-Stainless-Async,"
    "X-Stainless-Custom-Poll-Interval,X-Stainless-Helper-Method,X-Stainless-Lang,X-Stainless-Os,"
    "X-Stainless-Package-Version,X-Stainless-Poll-Helper,X-Stainless-Retry-Count,X-Stainless-Runtime,"
    "X-Stainless-Runtime-Version,X-Stainless-Timeout"
)


def route_of(path: str) -> str:
    """Return the route that a path takes, which is the path itself where no part of it has a name."""
    place = unquote(path)
    start = place.rpartition("/")[0] + "/"
    return _NAMED[start] if start in _NAMED and place != start else place


async def respond(host: Host, request: SimulatedRequest, *, loopback: bool) -> Answer:
    """Answer a request.

    Args:
        host: The host.
        request: The request.
        loopback: Whether the host listens on loopback only; then it looks at the Host header.
    """
    methods = ROUTES.get(route_of(request.path))
    request.parameter = unquote(request.path).rpartition("/")[2]
    allow = (("Allow", ", ".join(methods)),) if methods and request.method not in methods else ()
    origin = request.header("Origin")
    if origin is not None and not _is_origin_allowed(origin):
        return Whole(status=403, headers=allow)
    if origin is not None and request.method == "OPTIONS":
        return Whole(status=204, headers=(*allow, *_preflight(origin)))
    if loopback and not _is_host_allowed(request.header("Host") or ""):
        return Whole(status=403)
    answer = await _route(host, request, methods, allow)
    if origin is not None and isinstance(answer, Whole):
        headers = (*answer.headers, ("Access-Control-Allow-Origin", origin), ("Vary", "Origin"))
        return Whole(status=answer.status, headers=headers, body=answer.body, chunked=answer.chunked)
    return answer


async def _route(
    host: Host, request: SimulatedRequest, methods: dict[str, Endpoint] | None, allow: tuple[tuple[str, str], ...]
) -> Answer:
    place = request.path.rstrip("/")
    if methods is None and route_of(place) in ROUTES:
        return _redirect(place, get=request.method == "GET")
    if methods is None:
        return text(404, "404 page not found")
    if request.method not in methods:
        return text(405, "405 method not allowed", *allow)
    try:
        return await methods[request.method](host, request)
    except Refusal as refusal:
        return refuse(refusal)


def _redirect(place: str, *, get: bool) -> Whole:
    """Answer a path with a slash too many."""
    headers = (("Content-Type", "text/html; charset=utf-8"), ("Location", place))
    body = f'<a href="{place}">Moved Permanently</a>.\n\n'.encode()
    return Whole(status=301, headers=headers, body=body) if get else Whole(status=307, headers=headers[1:])


def _preflight(origin: str) -> tuple[tuple[str, str], ...]:
    return (
        ("Access-Control-Allow-Headers", _ALLOWED_HEADERS),
        ("Access-Control-Allow-Methods", "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS"),
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Max-Age", "43200"),
        ("Vary", "Origin"),
        ("Vary", "Access-Control-Request-Method"),
        ("Vary", "Access-Control-Request-Headers"),
    )


def _is_origin_allowed(origin: str) -> bool:
    """Tell whether a browser's page may ask: those of this machine and of applications."""
    parts = urlsplit(origin)
    if parts.scheme in ("http", "https"):
        return parts.hostname in ("localhost", "127.0.0.1", "0.0.0.0")
    return parts.scheme in ("app", "file", "tauri", "vscode-webview", "vscode-file")


def is_loopback(address: str) -> bool:
    """Tell whether an address to listen on is reached from this machine only."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _is_host_allowed(header: str) -> bool:
    """Tell whether a Host header names this machine or its network."""
    try:
        name = urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return False
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name in ("", "localhost", socket.gethostname().lower()) or name.endswith(_LOCAL_SUFFIXES)
    return address.is_loopback or address.is_private or address.is_unspecified

"""The application as a value: its parts, its routes, and what begins and ends with it."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from starlette.middleware import Middleware
from starlette.routing import Route, Router

from adapters.errors import GatewayError, Stopping
from adapters.ollama.native import request as native
from gateway.api.answering import Answering, error_headers, refusal, request_id
from gateway.api.chat import ChatCompletions
from gateway.api.completions import Completions
from gateway.api.embeddings import Embeddings
from gateway.api.models import DeleteModel, Model, Models
from gateway.api.native.blobs import Blobs
from gateway.api.native.inference import Relay
from gateway.api.native.listing import Ps, Root, Status, Tags, Version
from gateway.api.native.management import Copy, Delete, Make, Pull, Push
from gateway.api.native.passing import Elsewhere, Passing
from gateway.api.operations import Healthz, MetricsPage, Readyz
from gateway.auth import Keyring, RequireKey
from gateway.catalogue import Catalogue
from gateway.config import HostSettings
from gateway.cors import Cors
from gateway.fleet import DEMO, Fleet
from gateway.images import Images
from gateway.management.managed import Managed
from gateway.metrics import Metrics
from gateway.record import Record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp

    from gateway.api.ending import Ending
    from gateway.config import Settings
    from gateway.simulator import Simulator


class _GetOnly(Route):
    """An address without HEAD, which Starlette takes for a part of GET, and Ollama does not (wire.md 1.1)."""

    def __init__(self, path: str, endpoint: ASGIApp, *, middleware: Sequence[Middleware]) -> None:
        super().__init__(path, endpoint, methods=["GET"], middleware=middleware)
        self.methods = {"GET"}


class Gateway:
    """One gateway: the ASGI application `app`, and the means to end what runs in it.

    Args:
        settings: All settings.
        demo: The simulated host that stands beside the real ones; it is started and stopped with the application.
    """

    def __init__(self, settings: Settings, demo: Simulator | None = None) -> None:
        self._demo = demo
        self._metrics = Metrics()
        self._running: set[Ending] = set()
        self._catalogue = Catalogue(settings.models)
        self._keyring = Keyring(settings.keys)
        self._images = Images(settings)
        self._settings = settings
        demos = [HostSettings(url=demo.url, name=DEMO, parallel=16)] if demo else []
        self.fleet = Fleet(
            [*settings.hosts, *demos],
            timeouts=settings.timeouts,
            interval=settings.probe_interval,
            metrics=self._metrics,
        )
        self._managed = Managed(self.fleet, self._catalogue, settings)
        routes = [*self._routes(), *self._management()]
        elsewhere = Elsewhere(routes, self._for_admins(Passing(settings, self._managed, self._running)))
        router = Router(routes, redirect_slashes=False, default=elsewhere, lifespan=self._lifespan)
        self.app: ASGIApp = Answering(router, self._metrics)
        if settings.cors.origins:
            self.app = Cors(self.app, settings.cors.origins)

    def end_all(self) -> None:
        """End every answer that is still being given; each caller is told that the gateway stops."""
        for ending in list(self._running):
            ending.end(Stopping("The gateway is shutting down."))

    def refused(self, error: GatewayError, path: str) -> bytes:
        """Take note of a request that is refused before it is one; return the whole answer to it, HTTP and all.

        Args:
            error: Why it is refused.
            path: What it asks for, as far as that is known.
        """
        record = Record(self._metrics, "", path)
        record.status, record.error = error.status, error
        record.close()
        answer = refusal(error, path)
        headers = [
            (b"content-type", answer.media_type),
            *error_headers(error),
            request_id(record),
            (b"content-length", b"%d" % len(answer.body)),
            (b"connection", b"close"),
        ]
        lines = [b"%s: %s\r\n" % header for header in headers]
        return b"HTTP/1.1 %d \r\n%s\r\n%s" % (answer.status, b"".join(lines), answer.body)

    def _routes(self) -> Sequence[BaseRoute]:
        settings, fleet, catalogue, running = self._settings, self.fleet, self._catalogue, self._running
        keyed = [Middleware(self._keyed)]
        return [
            Route(
                "/v1/chat/completions",
                ChatCompletions(settings, fleet, catalogue, running, self._images),
                methods=["POST"],
                middleware=keyed,
            ),
            Route(
                "/v1/completions",
                Completions(settings, fleet, catalogue, running),
                methods=["POST"],
                middleware=keyed,
            ),
            Route(
                "/v1/embeddings",
                Embeddings(settings, fleet, catalogue, running),
                methods=["POST"],
                middleware=keyed,
            ),
            Route("/v1/models", Models(fleet, catalogue), methods=["GET"], middleware=keyed),
            Route("/v1/models/{model:path}", Model(fleet, catalogue), methods=["GET"], middleware=keyed),
            *(
                Route(path, Relay(settings, fleet, catalogue, running), methods=["POST"], middleware=keyed)
                for path in (native.CHAT, native.GENERATE, native.EMBED, native.EMBEDDINGS, native.SHOW)
            ),
            Route("/", Root(), methods=["GET"]),
            Route("/api/version", Version(fleet), methods=["GET"], middleware=keyed),
            Route("/api/tags", Tags(fleet, catalogue), methods=["GET"], middleware=keyed),
            _GetOnly("/api/ps", Ps(fleet), middleware=keyed),
            _GetOnly("/api/status", Status(fleet), middleware=keyed),
            Route("/healthz", Healthz(), methods=["GET"]),
            Route("/readyz", Readyz(fleet), methods=["GET"]),
            Route("/metrics", MetricsPage(self._metrics, fleet), methods=["GET"], middleware=keyed),
        ]

    def _keyed(self, app: ASGIApp, scope: str = "") -> ASGIApp:
        """Return an endpoint behind a check of the caller's key."""
        return RequireKey(
            app,
            keyring=self._keyring,
            open_to_all=self._settings.auth == "none",
            origins=self._settings.cors.origins,
            scope=scope,
        )

    def _for_admins(self, app: ASGIApp) -> ASGIApp:
        """Return an endpoint behind a check that the caller may manage models."""
        return self._keyed(app, "admin")

    def _management(self) -> Sequence[BaseRoute]:
        parts = self._settings, self._managed, self._running
        for_admins = [Middleware(self._for_admins)]
        return [
            Route("/api/pull", Pull(*parts), methods=["POST"], middleware=for_admins),
            Route("/api/push", Push(*parts), methods=["POST"], middleware=for_admins),
            Route("/api/create", Make(*parts), methods=["POST"], middleware=for_admins),
            Route("/api/copy", Copy(*parts), methods=["POST"], middleware=for_admins),
            Route("/api/delete", Delete(*parts), methods=["DELETE"], middleware=for_admins),
            Route("/api/blobs/{digest}", Blobs(*parts), methods=["HEAD", "POST"], middleware=for_admins),
            Route(
                "/v1/models/{model:path}",
                DeleteModel(self._managed, self._catalogue, self._running),
                methods=["DELETE"],
                middleware=for_admins,
            ),
        ]

    @asynccontextmanager
    async def _lifespan(self, _: object) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if self._demo is not None:
                await stack.enter_async_context(self._demo)
            stack.push_async_callback(self._images.close)
            self.fleet.start()
            stack.push_async_callback(self.fleet.stop)
            yield

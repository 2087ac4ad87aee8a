"""What operators and their tools ask: is it alive, can it serve, what has it done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway.api.answering import JSON, reply
from gateway.metrics import CONTENT_TYPE

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from gateway.fleet import Fleet
    from gateway.metrics import Metrics


class Healthz:
    """`GET /healthz`: the process is alive."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["record"].route = "healthz"
        await reply(send, scope["record"], 200, b'{"status":"ok"}', [JSON])


class Readyz:
    """`GET /readyz`: 200 when a host is up, 503 when none is.

    The demo host counts only where it is the only one: it cannot do the work of those that are meant. Names are not
    told, for nobody is asked for a key here.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["record"].route = "readyz"
        hosts = list(self._fleet.hosts.values())
        up = sum(host.view.up for host in hosts if host.label != "demo" or len(hosts) == 1)
        status = "ready" if up else "no host is up"
        counts = {"up": up, "down": sum(not host.view.up for host in hosts)}
        body = msgspec.json.encode({"status": status, "hosts": counts})
        await reply(send, scope["record"], 200 if up else 503, body, [JSON])


class MetricsPage:
    """`GET /metrics`: for Prometheus."""

    def __init__(self, metrics: Metrics, fleet: Fleet) -> None:
        self._metrics = metrics
        self._fleet = fleet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["record"].route = "metrics"
        headers = [(b"content-type", CONTENT_TYPE.encode())]
        await reply(send, scope["record"], 200, self._metrics.render(self._fleet.at_work()), headers)

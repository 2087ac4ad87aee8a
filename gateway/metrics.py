"""What Prometheus reads at `/metrics`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from adapters.types import Usage

_Series = tuple[Counter, Histogram, Histogram, Counter, Counter]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Metrics:
    """All metrics of one gateway.

    A model or host is a label only when the fleet knows it: names that callers make up do not become series.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._found: dict[tuple[str, str, str, int], _Series] = {}
        of = ("model", "host")
        self.requests = Counter(
            "ollama_gateway_requests", "Requests answered.", ("route", *of, "status"), registry=self._registry
        )
        self.errors = Counter(
            "ollama_gateway_errors", "Requests that ended in an error.", ("code", *of), registry=self._registry
        )
        self.host_failures = Counter(
            "ollama_gateway_host_failures",
            "Calls that failed at a host, answered elsewhere or not.",
            ("code", *of),
            registry=self._registry,
        )
        self.in_flight = Gauge("ollama_gateway_in_flight", "Calls that hosts work on.", of, registry=self._registry)
        self.host_up = Gauge(
            "ollama_gateway_host_up", "Whether a host answers (1) or not (0).", ("host",), registry=self._registry
        )
        self.first_token = Histogram(
            "ollama_gateway_time_to_first_token_seconds",
            "From the request to the first piece of its answer.",
            of,
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.duration = Histogram(
            "ollama_gateway_request_duration_seconds",
            "From the request to the end of its answer.",
            of,
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.tokens = Counter(
            "ollama_gateway_tokens",
            "Tokens read (prompt) and written (completion).",
            ("kind", *of),
            registry=self._registry,
        )

    def count(
        self,
        route: str,
        model: str,
        host: str,
        status: int,
        *,
        code: str,
        duration: float,
        first: float,
        usage: Usage | None,
    ) -> None:
        """Count a request that has ended.

        Args:
            route: Which endpoint answered; empty for none.
            model: The model on the host that answered; empty for none.
            host: The host that answered; empty for none.
            status: The HTTP status that was sent.
            code: The error's code; empty for none.
            duration: Seconds from the request to the end of its answer.
            first: Seconds to the first piece of the answer; 0 when there was none.
            usage: The tokens it took.
        """
        requests, durations, firsts, prompt, completion = self._series(route, model, host, status)
        requests.inc()
        if code:
            self.errors.labels(code, model, host).inc()
        if host:
            durations.observe(duration)
        if first:
            firsts.observe(first)
        if usage is not None:
            prompt.inc(usage.prompt)
            completion.inc(usage.completion)

    def _series(self, route: str, model: str, host: str, status: int) -> _Series:
        """Return what a request counts in, looked up once: prometheus_client takes longer to find than to count."""
        key = (route, model, host, status)
        series = self._found.get(key)
        if series is None:
            of = (model, host)
            series = self._found[key] = (
                self.requests.labels(route, *of, status),
                self.duration.labels(*of),
                self.first_token.labels(*of),
                self.tokens.labels("prompt", *of),
                self.tokens.labels("completion", *of),
            )
        return series

    def render(self, at_work: Iterable[tuple[str, str, int]]) -> bytes:
        """Return everything in Prometheus' text format.

        Args:
            at_work: Models, hosts, and how many calls there are now. To count them as they come and go would cost each
                request more than to look when somebody asks.
        """
        self.in_flight.clear()
        for model, host, calls in at_work:
            self.in_flight.labels(model, host).set(calls)
        return generate_latest(self._registry)

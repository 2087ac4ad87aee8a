"""What Prometheus reads at `/metrics`."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from adapters.types import Usage

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""Upper bounds of the histograms' buckets."""


class Metrics:
    """All metrics of one gateway.

    A model or host is a label only when the fleet knows it: names that callers make up do not become series.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = _Requests()
        self._registry.register(self._requests)
        of = ("model", "host")
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
        tally = self._requests.tally(route, model, host, status)
        tally.requests += 1
        if host:
            tally.duration.observe(duration)
        if first:
            tally.first.observe(first)
        if usage is not None:
            tally.prompt += usage.prompt
            tally.completion += usage.completion
        if code:
            self.errors.labels(code, model, host).inc()

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


class _Histogram:
    """Observations in seconds, by bucket."""

    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(SECONDS) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(SECONDS, seconds)] += 1
        self.sum += seconds

    def add(self, other: _Histogram) -> None:
        self.counts = [one + more for one, more in zip(self.counts, other.counts, strict=True)]
        self.sum += other.sum

    def buckets(self) -> list[tuple[str, float]]:
        """Return each upper bound with the number of observations up to it."""
        bounds = (*map(str, SECONDS), "+Inf")
        return list(zip(bounds, accumulate(self.counts), strict=True))


class _Tally:
    """What is counted of requests with the same route, model, host and status."""

    __slots__ = ("completion", "duration", "first", "prompt", "requests")

    def __init__(self) -> None:
        self.requests = self.prompt = self.completion = 0
        self.duration, self.first = _Histogram(), _Histogram()


class _Requests(Collector):
    """Counts requests in plain numbers, and makes metrics of them when somebody asks.

    The library's own counters look up labels and take a lock for each number, which each request would pay for.
    """

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, str, str, int], _Tally] = {}

    def tally(self, route: str, model: str, host: str, status: int) -> _Tally:
        """Return what such requests are counted in."""
        key = (route, model, host, status)
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = _Tally()
        return tally

    def collect(self) -> Iterator[Metric]:
        of = ("model", "host")
        requests = CounterMetricFamily("ollama_gateway_requests", "Requests answered.", labels=("route", *of, "status"))
        tokens = CounterMetricFamily(
            "ollama_gateway_tokens", "Tokens read (prompt) and written (completion).", labels=("kind", *of)
        )
        first = HistogramMetricFamily(
            "ollama_gateway_time_to_first_token_seconds",
            "From the request to the first piece of its answer.",
            labels=of,
        )
        duration = HistogramMetricFamily(
            "ollama_gateway_request_duration_seconds", "From the request to the end of its answer.", labels=of
        )
        for (route, model, host, status), tally in self._tallies.items():
            requests.add_metric((route, model, host, str(status)), tally.requests)
        for (model, host), tally in self._by_model_and_host().items():
            tokens.add_metric(("prompt", model, host), tally.prompt)
            tokens.add_metric(("completion", model, host), tally.completion)
            first.add_metric((model, host), tally.first.buckets(), tally.first.sum)
            duration.add_metric((model, host), tally.duration.buckets(), tally.duration.sum)
        yield from (requests, tokens, first, duration)

    def _by_model_and_host(self) -> dict[tuple[str, str], _Tally]:
        """Add up what differs in route and status; requests that no host answered are left out."""
        found: dict[tuple[str, str], _Tally] = {}
        for (_, model, host, _), tally in self._tallies.items():
            if host:
                total = found.setdefault((model, host), _Tally())
                total.prompt += tally.prompt
                total.completion += tally.completion
                total.duration.add(tally.duration)
                total.first.add(tally.first)
        return found

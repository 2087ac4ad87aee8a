"""What is measured. Each case looks at a target for a window of time, and has a value for each of its figures."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial

from msgspec import Struct

from benchmarks.host import Script
from benchmarks.load import Address, Window, drive, hold
from benchmarks.measure import cpu_seconds, percentile, resident_bytes
from benchmarks.processes import LOOPBACK, Cores, Running, running
from benchmarks.targets import NATIVE, Dialect, Target

SHORT = Script("short", tokens=16)
FAST = Script("fast", tokens=64)
PACED = Script("paced", tokens=64, interval=0.02)
HELD = Script("held", tokens=600, interval=1.0)
VECTORS = Script("vectors", tokens=1)

SCRIPTS = (SHORT, FAST, PACED, HELD, VECTORS)
"""The models of the host."""


class Bench:
    """One run: the host, and what stands in front of it.

    Args:
        host: The host's port.
        cores: Which CPU is for what.
        stack: Stops at the end what was started.
    """

    def __init__(self, host: int, cores: Cores, stack: ExitStack) -> None:
        self.host: Address = (LOOPBACK, host)
        self._cores = cores
        self._stack = stack
        self._running: dict[str, Running] = {}

    def started(self, target: Target) -> Running:
        """Return the process that is a target all through the run."""
        if target.name not in self._running:
            self._running[target.name] = self._stack.enter_context(self.fresh(target))
        return self._running[target.name]

    def fresh(self, target: Target) -> AbstractContextManager[Running]:
        """Run a target anew."""
        return running(target, self.host[1], self._cores.target)


class Figure(Struct, frozen=True):
    """One row of the table.

    Attributes:
        key: Its name in the JSON file.
        title: What it says, with its unit.
        goal: The most it should be for the gateway; None without one.
        ratio: How many times that of nginx it should be at most; None without a goal of this kind.
        digits: Digits after the point.
    """

    key: str
    title: str
    goal: float | None = None
    ratio: float | None = None
    digits: int = 1


class Case(Struct, frozen=True):
    """Figures that come from the same windows.

    Attributes:
        name: Its name on the command line.
        figures: What a window tells.
        window: Measures once: of a target, for so many seconds; returns a value for each figure.
        windows: How many windows there are.
        seconds: How long one is.
        method: How it is measured, and what is divided by what.
    """

    name: str
    figures: tuple[Figure, ...]
    window: Callable[[Bench, Target, float], tuple[float, ...]]
    windows: int
    seconds: float
    method: str


def _chat(bench: Bench, target: Target, seconds: float) -> tuple[float, ...]:
    window, cpu = _drive(bench, target, SHORT, seconds, callers=32)
    return cpu / window.answers * 1e6, window.answers / window.seconds, cpu / window.seconds * 100


def _fast(bench: Bench, target: Target, seconds: float) -> tuple[float, ...]:
    window, cpu = _drive(bench, target, FAST, seconds, callers=32)
    return cpu / window.pieces * 1e6, window.pieces / window.seconds


def _paced(bench: Bench, target: Target, seconds: float) -> tuple[float, ...]:
    window, cpu = _drive(bench, target, PACED, seconds, callers=100)
    return (cpu / window.pieces * 1e6,)


def _native(bench: Bench, target: Target, seconds: float) -> tuple[float, ...]:
    chat, chat_cpu = _drive(bench, target, SHORT, seconds, callers=32, dialect=NATIVE)
    fast, fast_cpu = _drive(bench, target, FAST, seconds, callers=32, dialect=NATIVE)
    return (
        chat_cpu / chat.answers * 1e6,
        fast_cpu / fast.pieces * 1e6,
        *_vectors("float", bench, target, seconds, dialect=NATIVE)[:1],
    )


def _drive(
    bench: Bench, target: Target, script: Script, seconds: float, callers: int, dialect: Dialect | None = None
) -> tuple[Window[float], float]:
    process = bench.started(target)
    window = drive(
        process.address,
        target.question(script, stream=script is not SHORT, dialect=dialect),
        lambda: cpu_seconds(process.pid),
        callers=callers,
        seconds=seconds,
        spread=script.interval * script.tokens,
    )
    return window, window.after - window.before


def _vectors(
    encoding: str, bench: Bench, target: Target, seconds: float, dialect: Dialect | None = None
) -> tuple[float, ...]:
    process = bench.started(target)
    window = drive(
        process.address,
        target.vectors_question(VECTORS, encoding, dialect=dialect),
        lambda: cpu_seconds(process.pid),
        callers=32,
        seconds=seconds,
    )
    return ((window.after - window.before) / window.answers * 1e6, window.answers / window.seconds)


def _latency(bench: Bench, target: Target, seconds: float) -> tuple[float, ...]:
    direct, through = (
        drive(address, question, lambda: None, callers=1, seconds=seconds).latencies
        for address, question in (
            (bench.host, NATIVE.question(SHORT, stream=False)),
            (bench.started(target).address, target.question(SHORT, stream=False)),
        )
    )
    return tuple((percentile(through, share) - percentile(direct, share)) * 1e3 for share in (0.5, 0.99))


def _memory(bench: Bench, target: Target, seconds: float) -> tuple[float, ...]:
    streams = 1000
    with bench.fresh(target) as process:
        used = target.question(SHORT, stream=False)
        drive(process.address, used, lambda: None, callers=8, seconds=seconds)
        idle = resident_bytes(process.pid)
        held = target.question(HELD, stream=True)
        full = hold(process.address, held, lambda: resident_bytes(process.pid), streams=streams, settle=seconds)
    return idle / 1e6, (full - idle) / streams / 1e3


def _start(bench: Bench, target: Target, seconds: float) -> tuple[float, ...]:  # noqa: ARG001 - a start takes what it takes
    with bench.fresh(target) as process:
        return (process.ready_seconds,)


CASES = (
    Case(
        "chat",
        (
            Figure("chat_cpu_us", "CPU per short chat request, µs", goal=150),
            Figure("chat_rate", "Requests per second meanwhile", digits=0),
            Figure("chat_busy", "CPU busy meanwhile, %", digits=0),
        ),
        _chat,
        windows=3,
        seconds=2,
        method="32 callers ask without pause, not streaming, and get 16 tokens. CPU time / answers.",
    ),
    Case(
        "fast",
        (
            Figure("fast_cpu_us", "CPU per token, streams of 64 at once, µs", goal=6),
            Figure("fast_rate", "Tokens per second meanwhile", digits=0),
        ),
        _fast,
        windows=3,
        seconds=2,
        method="32 callers stream 64 tokens without pause; the host writes one token after the other. "
        "CPU time, that of the requests included / tokens that arrived.",
    ),
    Case(
        "paced",
        (Figure("paced_cpu_us", "CPU per token, 100 streams at 50 a second, µs", goal=55),),
        _paced,
        windows=3,
        seconds=3,
        method="100 callers stream 64 tokens, 20 ms apart, each in its own step. "
        "CPU time, that of the requests included / tokens that arrived.",
    ),
    Case(
        "vectors",
        (
            Figure("vectors_cpu_us", "CPU per 32 vectors of 768 numbers, µs", ratio=1.5, digits=0),
            Figure("vectors_rate", "Such requests per second meanwhile", digits=0),
        ),
        partial(_vectors, "float"),
        windows=3,
        seconds=2,
        method="32 callers ask without pause for the vectors of 32 texts, 0.3 MB. CPU time / answers.",
    ),
    Case(
        "base64",
        (
            Figure("base64_cpu_us", "The same in base64, µs", goal=5000, digits=0),
            Figure("base64_rate", "Such requests per second meanwhile", digits=0),
        ),
        partial(_vectors, "base64"),
        windows=3,
        seconds=2,
        method="As vectors, and the gateway makes base64 of them; nginx does not.",
    ),
    Case(
        "native",
        (
            Figure("native_cpu_us", "CPU per short chat request of Ollama's own API, µs", goal=150),
            Figure("native_token_us", "CPU per token of it, streams of 64 at once, µs", goal=6),
            Figure("native_vectors_us", "CPU per 32 vectors of 768 numbers of it, µs", ratio=1.5, digits=0),
        ),
        _native,
        windows=3,
        seconds=2,
        method="As chat, fast and vectors, and callers of the gateway too speak Ollama's own API.",
    ),
    Case(
        "latency",
        (
            Figure("latency_p50_ms", "Added latency of one caller, median, ms", digits=2),
            Figure("latency_p99_ms", "Added latency of one caller, p99, ms", digits=2),
        ),
        _latency,
        windows=3,
        seconds=1,
        method="One caller asks as in chat, the host itself and then the target. Percentile with the target - without.",
    ),
    Case(
        "memory",
        (
            Figure("idle_mb", "Memory when idle, MB", goal=70),
            Figure("stream_kb", "Memory per open stream, 1,000 streams, kB", goal=40),
        ),
        _memory,
        windows=3,
        seconds=0.5,
        method="RSS of a new process after some short requests; RSS when 1,000 streams are open, less that / 1,000. "
        "1 MB = 10^6 bytes.",
    ),
    Case(
        "start",
        (Figure("ready_s", "Ready after, s", goal=0.6, digits=2),),
        _start,
        windows=5,
        seconds=0,
        method="From the start of a new process to its first 200: /readyz of the gateway, with a host that is up.",
    ),
)

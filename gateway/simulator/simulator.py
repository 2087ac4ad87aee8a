"""A program that answers as an Ollama host does, on a real socket, and fails on order."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import weakref
from collections.abc import AsyncGenerator, Callable, Sequence
from types import TracebackType, UnionType
from typing import Self

from gateway.simulator.answers import Whole
from gateway.simulator.connection import Connection
from gateway.simulator.demo import demo
from gateway.simulator.faults import (
    Cut,
    Drip,
    End,
    Fail,
    Fault,
    Hang,
    Inject,
    Raw,
    Reply,
    Reset,
    UntilClose,
    replaces,
    transmit,
)
from gateway.simulator.host import Host
from gateway.simulator.incoming import SimulatedRequest
from gateway.simulator.model import SimulatedModel
from gateway.simulator.registry import Registry
from gateway.simulator.routes import INFERENCE, is_loopback, respond, route_of

_LOG = 10_000
"""How many requests are remembered."""

_DISCARDED = 256 * 1024
"""How many bytes of a body that nobody wants are read to keep a connection; with more to come it is closed."""

_ANSWERED = Hang | Reply | Raw | Cut | Inject | UntilClose | Drip | Fail
"""The faults of answers; `Reset` is for connections."""


class _Order:
    """A fault and how often it is still to happen."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.left = fault.times

    def matches(self, path: str) -> bool:
        if isinstance(self.fault, Fail) and path not in INFERENCE:
            return False
        return self.fault.path in (None, path, route_of(path))


class Simulator(Host):
    """A simulated Ollama host. It runs in the event loop that starts it.

    For example::

        async with Simulator(models=[demo]) as simulator:
            ...  # talk to simulator.url

    Args:
        models: What it has on its disk.
        registry: What it can pull. Simulators that share a `Registry` can pull what another pushed.
        version: Which version it plays; 0.24 and 0.30 on differ in many answers.
        host: The address it listens on.
        port: The port; 0 chooses one, which stays the same for the simulator's life.
        parallel: How many requests a model serves at once.
        max_queue: How many requests may wait for a load.
        load_seconds: How long a load takes.
        first_token_seconds: How long a prompt is read.
        token_seconds: The time between two tokens.
        context_length: The context of a model when nobody asks for another, in tokens.
        max_loaded: How many models fit into memory.
        pull_seconds: How long the weights of a model take to download, and to upload.
        pull_steps: In how many steps they come.
        blob_bytes_per_second: How fast the upload of a blob is taken; 0 for not at all.
        free_bytes: How large a blob may be until its disk is full.

    Attributes:
        requests: What came in, oldest first, at most the last 10,000.
        cancelled: How many requests to a model ended because the client left.
        models: What is on its disk, by `Name.key`.
        stored: The blobs on its disk that came alone, by digest.
        load_seconds, first_token_seconds, token_seconds, parallel: As given; they may be changed at any time, and count
            from the next load, answer, token and load.
        pull_seconds, pull_steps, blob_bytes_per_second, free_bytes: As given; they may be changed at any time, and
            count from the next step, download, piece and piece.
    """

    def __init__(
        self,
        *,
        models: Sequence[SimulatedModel] = (demo,),
        registry: Registry | Sequence[SimulatedModel] = (demo,),
        version: str = "0.33.0",
        host: str = "127.0.0.1",
        port: int = 0,
        parallel: int = 4,
        max_queue: int = 512,
        load_seconds: float = 0.0,
        first_token_seconds: float = 0.0,
        token_seconds: float = 0.0,
        context_length: int = 4096,
        max_loaded: int = 3,
        pull_seconds: float = 0.0,
        pull_steps: int = 4,
        blob_bytes_per_second: float = math.inf,
        free_bytes: float = math.inf,
    ) -> None:
        super().__init__(
            models=models,
            registry=registry if isinstance(registry, Registry) else Registry(*registry),
            version=version,
            parallel=parallel,
            max_queue=max_queue,
            load_seconds=load_seconds,
            first_token_seconds=first_token_seconds,
            token_seconds=token_seconds,
            context_length=context_length,
            max_loaded=max_loaded,
            pull_seconds=pull_seconds,
            pull_steps=pull_steps,
            blob_bytes_per_second=blob_bytes_per_second,
            free_bytes=free_bytes,
        )
        self.requests: list[SimulatedRequest] = []
        self.cancelled = 0
        self._host = host
        self._loopback = is_loopback(host)
        self._port = port
        self._socket: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        self._made = 0
        self._orders: list[_Order] = []
        self._running = 0

    def __repr__(self) -> str:
        state = "listening" if self._server is not None else "not listening"
        return f"<Simulator {self.url} {state}, {len(self._connections)} connections, {self.in_flight} in flight>"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    # --- its life -----------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where it listens; the port is reserved as soon as it is asked for."""
        if not self._port:
            self._reserve()
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)
        return f"http://[{host}]:{self._port}" if ":" in host else f"http://{host}:{self._port}"

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: The port is taken.
            RuntimeError: It listens already.
        """
        if self._server is not None:
            raise RuntimeError(f"The simulator at {self.url} is already started.")
        self.prune()
        self.downloads.forget()
        reserved, self._socket = self._reserve(), None
        self._server = await asyncio.get_running_loop().create_server(self._connection, sock=reserved)

    async def stop(self) -> None:
        """Stop listening, break every connection, and forget which models are loaded.

        `start` begins anew, with the models that are on the disk, and without blobs that belong to none of them.
        """
        for connection in self._connections:
            connection.stop()
        await self._end()

    async def kill(self) -> None:
        """Do what `kill -9` does: every connection is reset, and new ones are refused. `start` begins anew."""
        for connection in self._connections:
            connection.reset()
            connection.stop()
        await self._end()
        self._reserve()

    async def _end(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        while self._connections or self._running:  # noqa: ASYNC110 (they end within a turn or two of the loop)
            await asyncio.sleep(0)
        await self.scheduler.close()

    def _reserve(self) -> socket.socket:
        """Bind the port without listening: connections are refused, and nobody else gets it."""
        if self._socket is None:
            family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
            # asyncio sends small writes at once only over a socket that says it is TCP.
            self._socket = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            weakref.finalize(self, self._socket.close)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((self._host, self._port))
            self._port = self._socket.getsockname()[1]
        return self._socket

    def _connection(self) -> Connection:
        self._made += 1
        return Connection(self, self._made)

    def connected(self, connection: Connection) -> None:
        """Take note of a new connection, and reset it when that is ordered."""
        self._connections.add(connection)
        if self._take(Reset) is not None:
            connection.reset()

    def disconnected(self, connection: Connection) -> None:
        """Take note of the end of a connection."""
        self._connections.discard(connection)

    # --- what tests ask and order -------------------------------------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """How many generations run now."""
        return self.scheduler.running

    @property
    def loads(self) -> int:
        """How many models have been loaded so far, the same model loaded anew included."""
        return self.scheduler.loads

    @property
    def downloading(self) -> list[str]:
        """The digests of the layers that are being downloaded now."""
        return self.downloads.running

    @property
    def downloaded(self) -> int:
        """How many layers have been downloaded so far; one that several requests shared counts once."""
        return self.downloads.finished

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        return len(self._connections)

    @property
    def resident(self) -> list[str]:
        """The names of the models that are loaded now."""
        return [runner.model.full_name.short for runner in self.scheduler.resident()]

    def script(self, *faults: Fault) -> None:
        """Order faults for the next requests, in this order; each is for the first requests that match its path."""
        self._orders += map(_Order, faults)

    def heal(self) -> None:
        """Take back all faults that were ordered."""
        self._orders.clear()

    async def wait_until(self, condition: Callable[[], bool], *, timeout: float = 5.0) -> None:
        """Wait for something to become true of the simulator.

        Raises:
            TimeoutError: It did not.
        """
        async with asyncio.timeout(timeout):
            while not condition():  # noqa: ASYNC110 (the condition is any, and has no event)
                await asyncio.sleep(0.001)

    async def wait_idle(self, *, timeout: float = 5.0) -> None:
        """Wait until no request is being answered.

        Raises:
            TimeoutError: One still is.
        """
        await self.wait_until(lambda: not self._running, timeout=timeout)

    # --- answering ----------------------------------------------------------------------------------------------------

    async def answer(self, request: SimulatedRequest, *, keep_alive: bool) -> AsyncGenerator[bytes | End, None]:
        """Yield what goes over the wire for a request, and last what becomes of its connection."""
        self.requests.append(request)
        del self.requests[:-_LOG]
        fault = self._take(_ANSWERED, request.path)
        request.failure = fault if isinstance(fault, Fail) else None
        self._running += 1
        try:
            answer = Whole() if replaces(fault) else await respond(self, request, loopback=self._loopback)
            if request.upload is not None:
                keep_alive &= await request.upload.discard(math.inf if replaces(fault) else _DISCARDED)
            async with contextlib.aclosing(transmit(answer, request.method, fault, keep_alive=keep_alive)) as steps:
                async for step in steps:
                    if not isinstance(step, bytes) and step != "hang":
                        request.ended = "complete" if fault is None else "fault"
                    yield step
        finally:
            self._running -= 1
            self.downloads.leave(request)
            if request.lease is not None:
                request.lease.end()

    def abandoned(self, request: SimulatedRequest) -> None:
        """Take note that the client left before the end of its answer."""
        if request.ended is None:
            request.ended = "cancelled"
            self.cancelled += request.inference

    def _take(self, kinds: UnionType | type, path: str = "") -> Fault | None:
        """Return the first ordered fault of some kinds that is for a path, and count it."""
        for order in self._orders:
            if isinstance(order.fault, kinds) and order.matches(path):
                if order.left is not None:
                    order.left -= 1
                    if not order.left:
                        self._orders.remove(order)
                return order.fault
        return None


async def serve(simulator: Simulator) -> None:
    """Run a simulator until the task is cancelled.

    Raises:
        OSError: The port is taken.
    """
    async with simulator:
        await asyncio.Event().wait()

"""Which models are in memory, for how long, and whose turn it is: the scheduling facts of wire.md 3.

A request for a model that is loaded with suiting options goes straight to its runner and waits there for a free slot,
without a limit. Any other goes through one queue, whose worker makes room and loads, one request at a time. The queue
is bounded; that is the only way in which a host refuses work.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import Callable

from gateway.simulator.answers import Refusal
from gateway.simulator.model import SimulatedModel
from gateway.simulator.options import LoadOptions

KEEP_ALIVE = 300.0
"""Seconds that a model stays loaded when nobody says otherwise."""

_CENTURIES = 292 * 365.25 * 86400
"""How long for ever is: the longest duration that Go has."""


class Runner:
    """A model in memory, or on its way there.

    Attributes:
        model: The model that was loaded. Another with the same weights may use it.
        options: With what it was loaded.
        keep_alive: Seconds that it stays after its last request; infinite for ever.
        expires_at: Seconds since the epoch.
        users: How many requests hold it.
        loaded: Whether it is there.
        slots: How many requests it serves at once.
        changed: Set when it is loaded, or gone.
        timer: What will unload it.
        read: The last prompt it read.
    """

    def __init__(self, model: SimulatedModel, options: LoadOptions, parallel: int) -> None:
        self.model = model
        self.options = options
        self.keep_alive = KEEP_ALIVE
        self.expires_at = time.time()
        self.users = 0
        self.loaded = False
        self.slots = asyncio.Semaphore(parallel)
        self.changed = asyncio.Event()
        self.timer: asyncio.TimerHandle | None = None
        self.read = ""

    def __repr__(self) -> str:
        state = "loaded" if self.loaded else "loading"
        return f"Runner({self.model.name!r}, {state}, users={self.users}, keep_alive={self.keep_alive})"


class Lease:
    """A request's hold on a runner, from the choice of the runner to the end of the request."""

    def __init__(self, runner: Runner, scheduler: Scheduler) -> None:
        self.runner = runner
        self._scheduler = scheduler
        self._slot = False
        self._open = True

    async def slot(self) -> None:
        """Wait for a free slot of the runner; it is held until the lease ends. A second call finds it held."""
        if self._slot:
            return
        await self.runner.slots.acquire()
        self._slot = True
        self._scheduler.running += 1

    def crash(self) -> None:
        """Let the runner's process die: the next request loads the model again."""
        self._scheduler.drop(self.runner)

    def end(self) -> None:
        """Give the slot and the runner back. To end a lease twice is to end it once."""
        if self._slot:
            self._slot = False
            self.runner.slots.release()
            self._scheduler.running -= 1
        if self._open:
            self._open = False
            self._scheduler.give_back(self.runner)


class _Pending:
    """A request in the queue."""

    def __init__(self, model: SimulatedModel, options: LoadOptions, parallel: int, keep_alive: float | None) -> None:
        self.model = model
        self.options = options
        self.parallel = parallel
        self.keep_alive = keep_alive
        self.lease: asyncio.Future[Lease] = asyncio.get_running_loop().create_future()


class Scheduler:
    """The runners of a host and the queue before them.

    Args:
        max_queue: How many requests may wait for a load, besides the one that is worked on.
        max_loaded: How many models fit into memory.
        load_seconds: Tells how long a load takes now.

    Attributes:
        running: How many slots are taken.
        loads: How many models were loaded.
    """

    def __init__(self, *, max_queue: int, max_loaded: int, load_seconds: Callable[[], float]) -> None:
        self.max_queue = max_queue
        self.max_loaded = max_loaded
        self.running = 0
        self.loads = 0
        self._load_seconds = load_seconds
        self._runners: dict[str, Runner] = {}
        self._queue: deque[_Pending] = deque()
        self._worker: asyncio.Task[None] | None = None

    def resident(self) -> list[Runner]:
        """Return the loaded runners, the one that stays longest first. One that is loading is not among them."""
        loaded = [runner for runner in self._runners.values() if runner.loaded]
        return sorted(loaded, key=lambda runner: int(runner.expires_at), reverse=True)

    async def acquire(
        self, model: SimulatedModel, options: LoadOptions, *, parallel: int, keep_alive: float | None
    ) -> Lease:
        """Return a hold on a runner that suits, loading the model if need be.

        Raises:
            Refusal: 503 when the queue is full, 500 when the model cannot be loaded.
        """
        while (runner := self._runners.get(model.weights)) is not None and not runner.loaded:
            await runner.changed.wait()
        if runner is not None and runner.options.suits(options):
            return self._use(runner, keep_alive)
        working = self._worker is not None and not self._worker.done()
        if working and len(self._queue) >= self.max_queue:
            raise Refusal(503, "server busy, please try again.  maximum pending requests exceeded")
        pending = _Pending(model, options, parallel, keep_alive)
        self._queue.append(pending)
        if not working:
            self._worker = asyncio.create_task(self._work(self._queue.popleft()))
        try:
            return await pending.lease
        except asyncio.CancelledError:
            granted = pending.lease.done() and not pending.lease.cancelled() and pending.lease.exception() is None
            if granted:  # in the same moment in which the request went away
                pending.lease.result().end()
            raise

    def expire(self, model: SimulatedModel) -> None:
        """Unload a model now, or as soon as the requests that use it have ended."""
        if runner := self._runners.get(model.weights):
            self._expire(runner)

    def drop(self, runner: Runner) -> None:
        """Take a runner out of memory at once."""
        if runner.timer is not None:
            runner.timer.cancel()
        if self._runners.get(runner.model.weights) is runner:
            del self._runners[runner.model.weights]
        runner.changed.set()

    def give_back(self, runner: Runner) -> None:
        """Count a request out of its runner, and let the runner's time run when it was the last."""
        runner.users -= 1
        if runner.users == 0 and self._runners.get(runner.model.weights) is runner:
            self._rest(runner)

    async def close(self) -> None:
        """Take everything out of memory, and end what waits."""
        if self._worker is not None:
            self._worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._worker
            self._worker = None
        for pending in self._queue:
            pending.lease.cancel()
        self._queue.clear()
        for runner in list(self._runners.values()):
            self.drop(runner)

    def _use(self, runner: Runner, keep_alive: float | None) -> Lease:
        runner.users += 1
        if runner.timer is not None:
            runner.timer.cancel()
        if keep_alive is not None:
            runner.keep_alive = keep_alive
        runner.expires_at = time.time() + min(runner.keep_alive, _CENTURIES)
        return Lease(runner, self)

    def _rest(self, runner: Runner) -> None:
        """Start the time of a runner that nobody uses."""
        if runner.keep_alive <= 0:
            self.drop(runner)
            return
        runner.expires_at = time.time() + min(runner.keep_alive, _CENTURIES)
        if not math.isinf(runner.keep_alive):
            runner.timer = asyncio.get_running_loop().call_later(runner.keep_alive, self.drop, runner)

    def _expire(self, runner: Runner) -> None:
        runner.keep_alive = 0.0
        runner.expires_at = time.time()
        if runner.loaded and runner.users == 0:
            self.drop(runner)

    async def _work(self, pending: _Pending) -> None:
        """Serve a request of the queue, and then the others."""
        while True:
            try:
                await self._serve(pending)
            except Refusal as refusal:
                if not pending.lease.done():
                    pending.lease.set_exception(refusal)
            except asyncio.CancelledError:
                pending.lease.cancel()
                raise
            if not self._queue:
                return
            pending = self._queue.popleft()

    async def _serve(self, pending: _Pending) -> None:
        """Make room for a request's model and load it, unless the request goes away meanwhile."""
        while not pending.lease.done():
            runner = self._runners.get(pending.model.weights)
            if runner is not None and runner.options.suits(pending.options):
                pending.lease.set_result(self._use(runner, pending.keep_alive))
            elif runner is not None or len(self._runners) >= self.max_loaded:
                victim = runner or self._victim()
                self._expire(victim)
                await self._gone(victim)
            else:
                await self._load(pending)

    def _victim(self) -> Runner:
        """Choose what to unload: what is idle first, then what would stay shortest."""
        return min(self._runners.values(), key=lambda runner: (runner.users > 0, runner.keep_alive))

    async def _gone(self, runner: Runner) -> None:
        while self._runners.get(runner.model.weights) is runner:
            runner.changed.clear()
            await runner.changed.wait()

    async def _load(self, pending: _Pending) -> None:
        """Load a model. A load whose request goes away is given up (wire.md 1.1)."""
        runner = Runner(pending.model, pending.options, pending.parallel)
        self._runners[pending.model.weights] = runner
        try:
            seconds = self._load_seconds()
            if seconds > 0:
                await asyncio.wait((pending.lease,), timeout=seconds)
            if pending.model.load_error:
                raise Refusal(500, pending.model.load_error)
            if not pending.lease.done():
                runner.loaded = True
                self.loads += 1
                pending.lease.set_result(self._use(runner, pending.keep_alive))
        finally:
            if not runner.loaded:
                self.drop(runner)
            runner.changed.set()

"""Starting what takes part in a run, on the CPU where it belongs, and stopping it again by its process id."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from benchmarks.host import Script
    from benchmarks.load import Address
    from benchmarks.targets import Target

LOOPBACK = "127.0.0.1"

PATIENCE = 20.0
"""Seconds that a process may take to be ready, or to stop."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_ROOT = Path(__file__).parents[1]

# What a shell may have set must not change the figures: how Python runs, or the gateway's settings.
_ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "OLLAMA_GATEWAY_"))}


class StartError(Exception):
    """A process has ended, or is not ready in time."""


class Running(Struct, frozen=True):
    """A process that takes part in a run.

    Attributes:
        pid: Its process id.
        address: Where it listens.
        ready_seconds: From the start to the first 200 of its ready path.
    """

    pid: int
    address: Address
    ready_seconds: float


class Cores(Struct, frozen=True):
    """Which CPU measures and which is measured, so that neither takes time from the other.

    Attributes:
        load: Where the load generator and the host are; None for anywhere.
        target: Where what is measured is; None for anywhere.
    """

    load: int | None
    target: int | None

    @classmethod
    def choose(cls) -> Cores:
        """Take the first and the last CPU, where there are two and the system lets one choose."""
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []
        return cls(cores[0], cores[-1]) if len(cores) > 1 else cls(None, None)

    def __str__(self) -> str:
        if self.target is None:
            return "everything on the same CPUs"
        return f"what is measured on CPU {self.target}, the load generator and the host on CPU {self.load}"


@contextmanager
def on(core: int | None) -> Iterator[None]:
    """Stay on one CPU; what is started meanwhile stays there for good."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def host(scripts: Sequence[Script]) -> Iterator[int]:
    """Run the host, and return its port."""
    models = [word for script in scripts for word in ("--model", str(script))]
    command = [sys.executable, "-m", "benchmarks.host", *models]
    with _process(command, None, cwd=_ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise StartError("The host has ended before it listened.")
        yield int(line)


@contextmanager
def running(target: Target, host: int, core: int | None) -> Iterator[Running]:
    """Run a target on one CPU, in front of the host with this port.

    Raises:
        StartError: It does not become ready.
    """
    with TemporaryDirectory(prefix="bench-") as name:
        directory, port = Path(name), _free_port()
        command = target.prepare(directory, port, host)
        with (directory / "log").open("wb") as log:
            start = time.perf_counter()
            with _process(command, core, cwd=directory, stdout=log, stderr=log) as process:
                while not _is_ready(port, target.ready):
                    if process.poll() is not None or time.perf_counter() - start > PATIENCE:
                        said = (directory / "log").read_text(errors="replace")[-2000:]
                        raise StartError(f"{target.name} does not become ready. It said:\n{said}")
                    time.sleep(0.002)
                yield Running(process.pid, (LOOPBACK, port), time.perf_counter() - start)


@contextmanager
def _process(
    command: Sequence[str], core: int | None, *, cwd: Path, stdout: int | IO[bytes], stderr: IO[bytes] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    process = None
    try:
        # In a session of its own: Ctrl-C is for the one who measures, who then stops this one.
        with _undisturbed(), on(core):
            process = subprocess.Popen(
                command, cwd=cwd, env=_ENVIRONMENT, stdout=stdout, stderr=stderr, start_new_session=True
            )
        yield process
    finally:
        if process is not None:
            with _undisturbed(), process:
                _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Put off signals: one that came right now would leave a process that nobody knows of."""
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in came:
            signal.raise_signal(late)


def _free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _is_ready(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()

"""Programs that tests start: each has ended when its block ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

COMMAND = (sys.executable, "-m", "gateway.cli")
"""What `ollama-gateway` stands for, whether or not it is on the path."""

SECONDS = 20.0
"""How long a program may take for what is expected of it."""


class Program:
    """A program that runs.

    Attributes:
        process: The process.
        log: The lines of JSON that it wrote to standard error so far.
    """

    def __init__(self, process: Process) -> None:
        self.process = process
        self.log: list[dict[str, Any]] = []

    async def logged(self, event: str) -> dict[str, Any]:
        """Wait for an event of its log, and return it.

        Raises:
            AssertionError: It ended without.
        """
        assert self.process.stderr is not None
        async with asyncio.timeout(SECONDS):
            async for line in self.process.stderr:
                self.log.append(json.loads(line))
                if self.log[-1]["event"] == event:
                    return self.log[-1]
        raise AssertionError(f"it ended without the event {event!r}: {self.log}")

    async def end(self) -> int:
        """Wait for its end, and return its exit status; the rest of its log is read."""
        assert self.process.stderr is not None
        async with asyncio.timeout(SECONDS):
            self.log += [json.loads(line) async for line in self.process.stderr]
            return await self.process.wait()


@asynccontextmanager
async def start(*command: str, **variables: str) -> AsyncIterator[Process]:
    """Start a program in the project's folder, without settings of whoever runs the tests.

    What it starts itself ends with it.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OLLAMA_", "OPENAI_"))}
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env={**inherited, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", **variables},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()


async def run(*command: str, **variables: str) -> tuple[int, str, str]:
    """Run a program to its end, and return its exit status and what it wrote."""
    async with start(*command, **variables) as process, asyncio.timeout(SECONDS):
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()


@asynccontextmanager
async def serving(*command: str, **variables: str) -> AsyncIterator[tuple[Program, str]]:
    """Start `ollama-gateway serve`, or another command that does, and yield it with the address of OpenAI's API there.

    It listens on a free port, has no hosts but the demo host, and its log is JSON, unless variables say otherwise; an
    empty one is none. The demo host is up when the block begins.
    """
    settings = {
        "OLLAMA_GATEWAY_LISTEN": "127.0.0.1:0",
        "OLLAMA_GATEWAY_HOSTS": "[]",
        "OLLAMA_GATEWAY_LOG": "json",
        **variables,
    }
    given = {name: value for name, value in settings.items() if value}
    async with start(*(command or (*COMMAND, "serve")), **given) as process:
        program = Program(process)
        url = f"{(await program.logged('serving'))['url']}/v1"
        while (await program.logged("host is up"))["host"] != "demo":
            pass
        yield program, url

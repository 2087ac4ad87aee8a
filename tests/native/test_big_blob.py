"""A blob that is larger than the memory that it may take on its way."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import socket
from asyncio.subprocess import Process
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

from tests.e2e.programs import COMMAND, Program, start

MEGABYTE = 1024 * 1024
SIZE = 4096 * MEGABYTE
PIECE = bytes(range(256)) * (MEGABYTE // 256)
MOST = 30 * MEGABYTE
"""How much the memory of the gateway may grow, in bytes."""


async def test_four_gigabytes_to_two_hosts_in_constant_memory() -> None:
    digest = await asyncio.to_thread(digest_of_the_blob)
    async with AsyncExitStack() as stack:
        hosts = [await stack.enter_async_context(start(*COMMAND, "simulate", "--port", "0")) for _ in range(2)]
        urls = [await url_of(host) for host in hosts]
        settings = {
            "OLLAMA_GATEWAY_LISTEN": "127.0.0.1:0",
            "OLLAMA_GATEWAY_HOSTS": json.dumps([{"url": url} for url in urls]),
            "OLLAMA_GATEWAY_DEMO": "false",
            "OLLAMA_GATEWAY_LOG": "json",
        }
        process = await stack.enter_async_context(start(*COMMAND, "serve", **settings))
        gateway = Program(process)
        url = (await gateway.logged("serving"))["url"]
        for _ in hosts:
            await gateway.logged("host is up")
        before = memory(process, "VmRSS")
        answer = await asyncio.to_thread(upload, url, digest)
        grown = memory(process, "VmHWM") - before

        assert answer.startswith(b"HTTP/1.1 201 ")
        for host in urls:
            assert (await asyncio.to_thread(ask, host, digest)).startswith(b"HTTP/1.1 200 ")
        assert grown < MOST


def digest_of_the_blob() -> str:
    digest = hashlib.sha256()
    for _ in range(SIZE // MEGABYTE):
        digest.update(PIECE)
    return f"sha256:{digest.hexdigest()}"


async def url_of(host: Process) -> str:
    """Return where a simulated host listens, as it says in its first line."""
    assert host.stdout is not None
    return (await host.stdout.readline()).decode().split()[-1]


def upload(url: str, digest: str) -> bytes:
    """Send the blob, and return the answer."""
    with connection(url) as caller:
        caller.sendall(head("POST", digest, f"content-length: {SIZE}"))
        for _ in range(SIZE // MEGABYTE):
            caller.sendall(PIECE)
        return caller.recv(MEGABYTE)


def ask(url: str, digest: str) -> bytes:
    """Ask a host whether it has the blob."""
    with connection(url) as caller:
        caller.sendall(head("HEAD", digest))
        return caller.recv(MEGABYTE)


def connection(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname or "", parts.port or 0))


def head(method: str, digest: str, *headers: str) -> bytes:
    lines = (f"{method} /api/blobs/{digest} HTTP/1.1", "host: localhost", "connection: close", *headers)
    return "\r\n".join((*lines, "", "")).encode()


def memory(process: Process, what: str) -> int:
    """Return a number of bytes that the system knows of a process."""
    found = re.search(rf"{what}:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
    assert found is not None
    return 1024 * int(found[1])

"""`/api/blobs/:digest`: files for `create`, taken piece by piece (wire.md 1.11)."""

from __future__ import annotations

import asyncio
import hashlib
import math
import re

from gateway.simulator.answers import Answer, Refusal, Whole
from gateway.simulator.disk import STORE, Blob
from gateway.simulator.golang import quote
from gateway.simulator.host import Host
from gateway.simulator.incoming import SimulatedRequest

_DIGEST = re.compile(r"sha256[:-]([0-9a-fA-F]{64})\Z")
_TICK = 0.01
"""Seconds between two looks at how fast a host takes an upload."""


def blob_digest(text: str) -> str:
    """Return a digest as blobs are filed under it.

    Raises:
        Refusal: 400, it is none.
    """
    found = _DIGEST.match(text)
    if found is None:
        raise Refusal(400, "invalid digest format")
    return f"sha256:{found[1]}"


async def head_blob(host: Host, request: SimulatedRequest) -> Answer:
    """Answer whether a blob is here.

    Raises:
        Refusal: 400 for a malformed digest, 404 when it is not.
    """
    digest = blob_digest(request.parameter)
    if digest not in host.blobs:
        raise Refusal(404, f"blob {quote(request.parameter)} not found")
    return Whole(chunked=True)  # without the length of a body


async def create_blob(host: Host, request: SimulatedRequest) -> Answer:
    """Take a blob. One that is here already is not looked at.

    Raises:
        Refusal: 400 for a malformed digest, or one that is not the body's; the body is kept under its own. 500 as soon
            as the disk is full.
    """
    digest = blob_digest(request.parameter)
    if digest in host.blobs:
        return Whole()
    hashed, size, head, owed = hashlib.sha256(), 0, b"", 0.0
    async for piece in request.pieces():
        hashed.update(piece)
        size += len(piece)
        head = (head + piece[:4])[:4]
        if size > host.free_bytes:
            raise Refusal(500, f"write {STORE}/blobs/sha256-simulated: no space left on device")
        owed = await _pace(host, owed + len(piece))
    got = f"sha256:{hashed.hexdigest()}"
    host.stored[got] = Blob(size, head)
    if got != request.parameter:
        raise Refusal(400, f"digest mismatch, expected {quote(request.parameter)}, got {quote(got)}")
    return Whole(status=201)


async def _pace(host: Host, owed: float) -> float:
    """Wait until a host has worked off some bytes, but for what it does between two looks; return how many are left."""
    while owed > (done := host.blob_bytes_per_second * _TICK):
        await asyncio.sleep(_TICK)
        owed -= done
    return 0.0 if math.isinf(done) else owed

"""Uploads of blobs: taken as a stream, as fast as the host takes them, and whole or not at all."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.simulator import SimulatedModel, Simulator
from gateway.simulator.disk import Blob
from gateway.simulator.faults import Hang, Reply
from tests.gateway.simulator.client import Client, Received, ask

MEGABYTE = bytes(1_000_000)


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def path_of(data: bytes) -> str:
    return f"/api/blobs/{digest_of(data)}"


@pytest.fixture
async def host() -> AsyncIterator[Simulator]:
    async with Simulator() as simulator:
        yield simulator


async def begin(host: Simulator, path: str, size: int, *headers: str) -> Client:
    """Send the head of an upload."""
    client = await Client.connect(host.url)
    lines = (f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {size}", *headers)
    client.writer.write("".join(f"{line}\r\n" for line in lines).encode() + b"\r\n")
    return client


async def test_a_blob_is_kept_by_its_digest_without_its_content(host: Simulator) -> None:
    data = b"GGUF and more"
    received = await ask(host.url, "POST", path_of(data), data)
    assert (received.status, received.body) == (201, b"")
    assert host.stored == {digest_of(data): Blob(len(data), b"GGUF")}
    assert host.blobs[digest_of(data)] == len(data)
    assert host.requests[0].body == b""


async def test_layers_of_models_are_blobs_too(host: Simulator) -> None:
    (model,) = host.models.values()
    path = f"/api/blobs/sha256:{model.weights}"
    assert (await ask(host.url, "HEAD", path)).status == 200
    assert (await ask(host.url, "HEAD", path.replace(":", "-"))).status == 200
    assert (await ask(host.url, "POST", path, b"anything")).status == 200


async def test_a_blob_in_chunks(host: Simulator) -> None:
    client = await Client.connect(host.url)
    head = f"POST {path_of(b'abcdef')} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    for piece in (head.encode(), b"1\r\na\r\n", b"5\r\nbcdef\r\n", b"0\r\n\r\n"):
        client.writer.write(piece)
        await asyncio.sleep(0.002)
    assert (await client.receive()).status == 201
    client.close()
    assert host.stored[digest_of(b"abcdef")] == Blob(6, b"abcd")


@pytest.mark.parametrize("path", [path_of(b"x").replace(":", "%3A"), path_of(b"x").replace("b", "%62", 1)])
async def test_a_blob_whose_path_is_encoded(host: Simulator, path: str) -> None:
    assert (await ask(host.url, "POST", path, b"x")).status == 201
    assert host.stored == {digest_of(b"x"): Blob(1, b"x")}


@pytest.mark.parametrize("path", ["/api/blobs/", "/api/blobs/a/b", "/api/blobs/..%2Fx", "/api/blobs"])
async def test_a_path_that_names_no_blob(host: Simulator, path: str) -> None:
    assert (await ask(host.url, "POST", path, b"x")).status == 404


async def test_a_digest_with_a_dash_is_found_but_never_the_same(host: Simulator) -> None:
    received = await ask(host.url, "POST", path_of(b"x").replace(":", "-"), b"x")
    assert (received.status, received.json["error"][:16]) == (400, "digest mismatch,")
    assert (await ask(host.url, "POST", path_of(b"x").replace(":", "-"), b"x")).status == 200


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def test_memory_does_not_grow_with_a_blob(host: Simulator) -> None:
    count = 250
    data = hashlib.sha256()
    for _ in range(count):
        data.update(MEGABYTE)
    digest = "sha256:" + data.hexdigest()
    client = await begin(host, f"/api/blobs/{digest}", count * len(MEGABYTE))
    before, most = resident_bytes(), 0
    for _ in range(count):
        client.writer.write(MEGABYTE)
        await client.writer.drain()
        most = max(most, resident_bytes())
    assert (await client.receive()).status == 201
    client.close()
    assert host.blobs[digest] == count * len(MEGABYTE)
    assert most - before < 30_000_000


async def test_a_host_that_takes_nothing_makes_the_sender_wait(host: Simulator) -> None:
    host.blob_bytes_per_second = 0
    count = 40
    data = MEGABYTE * count
    client = await begin(host, path_of(data), len(data))
    sent = 0

    async def send() -> None:
        nonlocal sent
        for sent in range(1, count + 1):  # noqa: B007
            client.writer.write(MEGABYTE)
            await client.writer.drain()

    sending = asyncio.create_task(send())
    seen = -1
    while seen != sent:
        seen = sent
        await asyncio.sleep(0.05)
    assert sent < count
    assert host.stored == {}
    host.blob_bytes_per_second = 1e9
    await sending
    assert (await client.receive()).status == 201
    client.close()
    assert sent == count


async def test_an_upload_that_is_cut_leaves_nothing(host: Simulator) -> None:
    data = b"GGUF" + MEGABYTE
    client = await begin(host, path_of(data), len(data))
    client.writer.write(data[:-1])
    await client.writer.drain()
    await host.wait_until(lambda: len(host.requests) == 1)
    client.close()
    await host.wait_until(lambda: host.requests[0].ended == "cancelled")
    assert host.stored == {}
    assert (await ask(host.url, "HEAD", path_of(data))).status == 404


async def test_a_host_that_dies_in_the_middle_of_an_upload_has_nothing(host: Simulator) -> None:
    data = b"GGUF" + MEGABYTE
    client = await begin(host, path_of(data), len(data))
    client.writer.write(data[:-1])
    await host.wait_until(lambda: len(host.requests) == 1)
    await host.kill()
    assert (await client.receive()).ended == "reset"
    await host.start()
    assert host.stored == {}
    client.close()


async def test_blobs_that_no_model_has_are_gone_after_a_restart(host: Simulator) -> None:
    await ask(host.url, "POST", path_of(b"GGUF1"), b"GGUF1")
    await ask(host.url, "POST", path_of(b"GGUF2"), b"GGUF2")
    await ask(host.url, "POST", "/api/create", {"model": "made", "files": {"a.gguf": digest_of(b"GGUF1")}})
    await host.stop()
    await host.start()
    assert list(host.stored) == [digest_of(b"GGUF1")]


async def early(host: Simulator, path: str, size: int, *headers: str) -> Received:
    """Begin an upload, and read the answer without sending the rest."""
    client = await begin(host, path, size, *headers)
    client.writer.write(MEGABYTE)
    received = await client.receive()
    assert await client.reader.read() == b""
    client.close()
    return received


async def test_a_blob_that_is_here_is_answered_before_it_has_come(host: Simulator) -> None:
    await ask(host.url, "POST", path_of(b"x"), b"x")
    received = await early(host, path_of(b"x"), 10**12)
    assert (received.status, received.header("Connection")) == (200, "close")
    await host.wait_until(lambda: host.connections == 0)


async def test_a_full_disk_is_told_at_once(host: Simulator) -> None:
    host.free_bytes = 1000
    received = await early(host, path_of(b"x"), 10**12)
    assert (received.status, received.json["error"][-23:]) == (500, "no space left on device")
    assert host.stored == {}


async def test_a_connection_is_kept_when_little_of_a_refused_body_is_left(host: Simulator) -> None:
    client = await Client.connect(host.url)
    for size in (1, 200_000):
        await client.send("POST", "/api/blobs/nope", bytes(size))
        received = await client.receive()
        assert (received.status, received.header("Connection")) == (400, None)
    client.close()


async def test_only_who_is_wanted_is_asked_for_the_body(host: Simulator) -> None:
    expect = "Expect: 100-continue"
    client = await begin(host, path_of(b"xyz"), 3, expect)
    assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.writer.write(b"xyz")
    assert (await client.receive()).status == 201
    client.close()
    client = await begin(host, path_of(b"xyz"), 3, expect)
    received = await client.receive()
    assert (received.status, received.header("Connection")) == (200, "close")
    client.close()


async def test_faults_wait_for_blobs_by_their_route_or_path(host: Simulator) -> None:
    host.script(Reply(500, path="/api/blobs/:digest"), Reply(503, path=path_of(b"x")), Hang(path="/api/blobs/:digest"))
    assert (await ask(host.url, "GET", "/api/version")).status == 200
    assert (await ask(host.url, "POST", path_of(b"y"), MEGABYTE)).status == 500
    assert (await ask(host.url, "POST", path_of(b"x"), b"x")).status == 503
    client = await begin(host, path_of(b"x"), len(MEGABYTE))
    client.writer.write(MEGABYTE)
    await client.writer.drain()
    await host.wait_until(lambda: len(host.requests) == 4)
    client.close()
    await host.wait_until(lambda: host.requests[3].ended == "cancelled")
    assert host.stored == {}


async def test_a_second_request_follows_an_upload(host: Simulator) -> None:
    client = await Client.connect(host.url)
    await client.send("POST", path_of(b"abc"), b"abc")
    await client.send("GET", "/api/version")
    assert (await client.receive()).status == 201
    assert (await client.receive()).json == {"version": "0.33.0"}
    client.close()


async def test_the_weights_of_an_upload_go_with_the_last_model_that_has_them() -> None:
    async with Simulator(models=[SimulatedModel(name="m")]) as host:
        await ask(host.url, "POST", path_of(b"GGUF"), b"GGUF")
        await ask(host.url, "POST", "/api/create", {"model": "a", "files": {"x.gguf": digest_of(b"GGUF")}})
        await ask(host.url, "POST", "/api/copy", {"source": "a", "destination": "b"})
        await ask(host.url, "DELETE", "/api/delete", {"model": "a"})
        assert digest_of(b"GGUF") in host.blobs
        await ask(host.url, "DELETE", "/api/delete", {"model": "b"})
        assert digest_of(b"GGUF") not in host.blobs

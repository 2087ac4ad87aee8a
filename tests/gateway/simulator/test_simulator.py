"""The life of a simulator, its log, and HTTP as it speaks it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import logging
import socket
from collections.abc import Iterator

import pytest
import uvloop

from gateway.simulator import SimulatedModel, Simulator, Token, demo, says, serve
from gateway.simulator.faults import Cut, Reset
from gateway.simulator.simulator import _LOG
from tests.gateway.simulator.client import Client, ask, chat
from tests.gateway.simulator.talking import endless

ENDLESS = SimulatedModel(name="endless", speak=endless)


# --- its life ---------------------------------------------------------------------------------------------------------


async def test_its_address_is_known_before_it_starts_and_refuses_connections() -> None:
    simulator = Simulator()
    url = simulator.url
    with pytest.raises(ConnectionRefusedError):
        await ask(url, "GET", "/")
    async with simulator:
        assert simulator.url == url
        assert (await ask(url, "GET", "/")).body == b"Ollama is running"


async def test_one_that_is_never_started_leaves_nothing_behind() -> None:
    assert Simulator().url.startswith("http://127.0.0.1:")
    gc.collect()


async def test_killed_it_resets_connections_and_refuses_new_ones_until_it_is_started_again() -> None:
    async with Simulator(models=[ENDLESS], token_seconds=0.001) as simulator:
        task = asyncio.create_task(chat(simulator.url, model="endless"))
        idle = await Client.connect(simulator.url)
        await simulator.wait_until(lambda: simulator.in_flight == 1)
        await simulator.kill()
        assert (await task).ended == "reset"
        assert (await idle.receive()).ended == "reset"
        with pytest.raises(ConnectionRefusedError):
            await ask(simulator.url, "GET", "/")
        assert (simulator.in_flight, simulator.connections, simulator.cancelled) == (0, 0, 0)
        assert simulator.requests[0].ended is None
        url = simulator.url
        await simulator.start()
        assert simulator.url == url
        assert (await ask(url, "GET", "/")).status == 200
        assert simulator.resident == []
        idle.close()


async def test_stopped_it_breaks_what_runs_and_can_be_started_again() -> None:
    simulator = Simulator(models=[ENDLESS], token_seconds=0.001)
    await simulator.start()
    task = asyncio.create_task(chat(simulator.url, model="endless"))
    await simulator.wait_until(lambda: simulator.in_flight == 1)
    await simulator.stop()
    assert (await task).ended in ("close", "reset")
    await simulator.start()
    assert (await ask(simulator.url, "GET", "/")).status == 200
    await simulator.stop()
    await simulator.stop()


async def test_starting_twice_is_a_mistake() -> None:
    async with Simulator() as simulator:
        with pytest.raises(RuntimeError, match="already started"):
            await simulator.start()


async def test_a_port_that_is_taken_is_told() -> None:
    async with Simulator() as simulator:
        port = int(simulator.url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"):
            await Simulator(port=port).start()


@pytest.mark.parametrize(
    ("host", "start"), [("0.0.0.0", "http://127.0.0.1:"), ("::1", "http://[::1]:"), ("localhost", "http://localhost:")]
)
async def test_its_address_can_be_reached(host: str, start: str) -> None:
    async with Simulator(host=host) as simulator:
        assert simulator.url.startswith(start)
        assert (await ask(simulator.url, "GET", "/")).status == 200


async def test_serve_runs_until_it_is_cancelled() -> None:
    simulator = Simulator()
    task = asyncio.create_task(serve(simulator))
    await simulator.wait_until(lambda: "not listening" not in repr(simulator))
    assert (await ask(simulator.url, "GET", "/")).status == 200
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ConnectionRefusedError):
        await ask(simulator.url, "GET", "/")


async def test_models_come_and_go() -> None:
    other = SimulatedModel(name="other", speak=says("hi"))
    async with Simulator() as simulator:
        assert (await chat(simulator.url, model="other")).status == 404
        simulator.add(other)
        assert (await chat(simulator.url, model="other")).status == 200
        assert simulator.resident == ["other:latest"]
        simulator.remove(other)
        assert (await chat(simulator.url, model="other")).status == 404
        assert simulator.resident == []


async def test_its_repr_says_how_it_is() -> None:
    async with Simulator() as simulator:
        await ask(simulator.url, "GET", "/")
        await simulator.wait_until(lambda: simulator.connections == 0)
        assert repr(simulator) == f"<Simulator {simulator.url} listening, 0 connections, 0 in flight>"
        assert repr(simulator.requests) == "[<GET / #1 complete>]"


def test_it_runs_in_the_event_loop_of_the_gateway_too() -> None:
    async def run() -> None:
        async with Simulator(models=[ENDLESS, demo], token_seconds=0.001) as simulator:
            assert (await chat(simulator.url)).frames[-1]["done"]
            simulator.script(Reset(), Cut(2, end="reset"))
            assert (await chat(simulator.url)).ended == "reset"
            received = await chat(simulator.url)
            assert (received.ended, len(received.pieces)) == ("reset", 2)
            task = asyncio.create_task(chat(simulator.url, model="endless"))
            await simulator.wait_until(lambda: simulator.in_flight == 1)
            task.cancel()
            await simulator.wait_idle()
            await simulator.kill()
            with pytest.raises(ConnectionRefusedError):
                await ask(simulator.url, "GET", "/")
            await simulator.start()
            assert (await ask(simulator.url, "GET", "/")).status == 200
            assert simulator.cancelled == 1
            data = bytes(20_000_000)
            path = f"/api/blobs/sha256:{hashlib.sha256(data).hexdigest()}"
            simulator.blob_bytes_per_second = 1e9
            assert [(await ask(simulator.url, "POST", path, data[:size])).status for size in (None, 9)] == [201, 200]
            task = asyncio.create_task(ask(simulator.url, "POST", "/api/blobs/sha256:" + "0" * 64, data))
            simulator.blob_bytes_per_second = 0
            await simulator.wait_until(lambda: simulator.requests[-1].path.endswith("000"))
            await simulator.kill()
            assert (await task).ended == "reset"

    uvloop.run(run())


def test_a_model_with_a_malformed_name_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="'a/b/c/d' is not the name of a model"):
        Simulator(models=[SimulatedModel(name="a/b/c/d")])


# --- its log ----------------------------------------------------------------------------------------------------------


async def test_requests_are_kept_as_they_came() -> None:
    async with Simulator() as simulator:
        headers = [("Host", "localhost"), ("X-One", "1"), ("x-one", "2")]
        await ask(simulator.url, "POST", "/api/show?x=1", {"model": "demo"}, headers=headers)
        request = simulator.requests[0]
        assert (request.method, request.target, request.path) == ("POST", "/api/show?x=1", "/api/show")
        assert request.headers == [*headers, ("Content-Length", "17")]
        assert request.json == {"model": "demo"}
        assert (request.connection, request.ended) == (1, "complete")


async def test_the_log_is_bounded() -> None:
    async with Simulator() as simulator:
        simulator.requests += simulator.requests * 0
        await ask(simulator.url, "GET", "/first")
        simulator.requests *= _LOG
        await ask(simulator.url, "GET", "/last")
        assert (len(simulator.requests), simulator.requests[-1].path) == (_LOG, "/last")


async def test_requests_over_one_connection_have_its_number() -> None:
    async with Simulator() as simulator:
        client = await Client.connect(simulator.url)
        for path in ("/", "/api/version", "/nope"):
            await client.send("GET", path)
            await client.receive()
        client.close()
        await ask(simulator.url, "GET", "/")
        assert [request.connection for request in simulator.requests] == [1, 1, 1, 2]


async def test_waiting_for_what_does_not_come_has_an_end() -> None:
    async with Simulator(models=[ENDLESS], token_seconds=0.001) as simulator:
        task = asyncio.create_task(chat(simulator.url, model="endless"))
        await simulator.wait_until(lambda: simulator.in_flight == 1)
        with pytest.raises(TimeoutError):
            await simulator.wait_idle(timeout=0.02)
        task.cancel()
        await simulator.wait_idle()


# --- HTTP -------------------------------------------------------------------------------------------------------------


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with Simulator(models=[SimulatedModel(name="m", speak=says("one two"))]) as simulator:
        client = await Client.connect(simulator.url)
        body = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
        await client.send("POST", "/api/chat", body)
        await client.send("GET", "/api/version")
        assert (await client.receive()).frames[-1]["done"]
        assert (await client.receive()).json == {"version": "0.33.0"}
        client.close()


async def test_a_connection_is_closed_when_the_client_asks_for_it() -> None:
    async with Simulator() as simulator:
        client = await Client.connect(simulator.url)
        await client.send("GET", "/", headers=[("Connection", "close")])
        received = await client.receive()
        assert received.header("Connection") == "close"
        assert await client.reader.read() == b""
        client.close()


async def test_a_client_that_waits_to_be_asked_for_the_body_is_asked() -> None:
    async with Simulator() as simulator:
        client = await Client.connect(simulator.url)
        client.writer.write(
            b"POST /api/show HTTP/1.1\r\nHost: localhost\r\nContent-Length: 16\r\nExpect: 100-continue\r\n\r\n"
        )
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.writer.write(b'{"model":"demo"}')
        assert (await client.receive()).status == 200
        client.close()


async def test_what_is_not_http_is_refused() -> None:
    async with Simulator() as simulator:
        client = await Client.connect(simulator.url)
        client.writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01")
        received = await client.receive()
        assert (received.status, received.body) == (400, b"400 Bad Request")
        client.close()


async def test_the_wish_for_another_protocol_is_not_heard() -> None:
    async with Simulator() as simulator:
        received = await ask(simulator.url, "GET", "/", headers=[("Connection", "Upgrade"), ("Upgrade", "h2c")])
        assert (received.status, received.body) == (200, b"Ollama is running")


async def test_a_chunked_body_is_understood() -> None:
    async with Simulator() as simulator:
        client = await Client.connect(simulator.url)
        head = b"POST /api/show HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.writer.write(head + b'7\r\n{"model\r\n9\r\n":"demo"}\r\n0\r\n\r\n')
        assert (await client.receive()).status == 200
        client.close()


async def test_a_client_that_reads_slowly_slows_the_model() -> None:
    made = 0

    def speak(_prompt: object) -> Iterator[Token]:
        nonlocal made
        for made in range(1, 1000):
            yield Token(f"{made:<100000}".encode())

    async with Simulator(models=[SimulatedModel(name="m", speak=speak)]) as simulator:
        with socket.create_connection(("127.0.0.1", int(simulator.url.rpartition(":")[2]))) as client:
            client.sendall(b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 27\r\n\r\n")
            client.sendall(b'{"model":"m","prompt":"hi"}')
            seen = -1
            while seen != made or not made:
                seen = made
                await asyncio.sleep(0.05)
            assert made < 999
            client.setblocking(False)
            async with asyncio.timeout(5):
                while made == seen:
                    with contextlib.suppress(BlockingIOError):
                        client.recv(1_000_000)
                    await asyncio.sleep(0)
        await simulator.wait_idle()


async def test_a_defect_of_a_model_breaks_the_connection_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def speak(_prompt: object) -> Iterator[Token]:
        yield Token(b"fine")
        raise ZeroDivisionError

    async with Simulator(models=[SimulatedModel(name="m", speak=speak)]) as simulator:
        with caplog.at_level(logging.ERROR, "asyncio"):
            assert (await chat(simulator.url, model="m")).ended == "reset"
            await simulator.wait_idle()
            gc.collect()
        assert "ZeroDivisionError" in caplog.text


# --- pace -------------------------------------------------------------------------------------------------------------


async def test_the_pace_can_be_changed_at_any_time() -> None:
    async with Simulator(models=[SimulatedModel(name="m", speak=says("a b"))]) as simulator:
        simulator.first_token_seconds = 0.02
        simulator.token_seconds = 0.01
        slow = (await chat(simulator.url, model="m", stream=False)).json
    assert slow["prompt_eval_duration"] >= 20_000_000
    assert slow["eval_duration"] >= 20_000_000


async def test_the_first_line_comes_before_the_last_is_made() -> None:
    async with Simulator(models=[demo], token_seconds=60) as simulator:
        client = await Client.connect(simulator.url)
        await client.send("POST", "/api/generate", b'{"model":"demo","prompt":"hi"}')
        assert (await client.receive(most=1)).frames[0]["response"] == "This"
        client.close()

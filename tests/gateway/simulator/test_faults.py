"""Every fault, as it is seen at the other end of the socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from gateway.simulator import SimulatedModel, Simulator, says
from gateway.simulator.faults import (
    Cut,
    Drip,
    Fail,
    Fault,
    Hang,
    Inject,
    Raw,
    Reply,
    Reset,
    UntilClose,
    busy,
    error_line,
    forbidden,
    huge_headers,
    huge_line,
    missing,
    out_of_memory,
    redirect,
    short_body,
    too_long,
)
from tests.gateway.simulator.client import Client, Received, ask, chat

TEXT = "one two three café five"
ACCENT = "é".encode()


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(
        models=[SimulatedModel(name="m", speak=says(TEXT), capabilities=("completion", "embedding"))]
    ) as host:
        yield host


async def stream(simulator: Simulator) -> Received:
    return await chat(simulator.url, model="m")


async def whole(simulator: Simulator) -> Received:
    return await chat(simulator.url, model="m", stream=False)


def contents(received: Received) -> list[str]:
    return [frame["message"]["content"] for frame in received.frames]


async def test_without_a_fault_the_answer_is_whole(simulator: Simulator) -> None:
    received = await stream(simulator)
    assert (received.status, received.ended, "".join(contents(received))) == (200, "complete", TEXT)
    assert len(received.pieces) == 6


# --- before an answer -------------------------------------------------------------------------------------------------


async def test_reset_ends_connections_as_they_are_made(simulator: Simulator) -> None:
    simulator.script(Reset(times=2))
    ends = [(await stream(simulator)).ended for _ in range(3)]
    assert ends == ["reset", "reset", "complete"]
    assert len(simulator.requests) == 1


async def test_hang_sends_nothing_until_the_client_leaves(simulator: Simulator) -> None:
    simulator.script(Hang())
    client = await Client.connect(simulator.url)
    await client.send("GET", "/api/version")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await client.reader.read(1)
    assert simulator.requests[0].ended is None
    client.close()
    await simulator.wait_idle()
    assert [request.ended for request in simulator.requests] == ["cancelled"]
    assert simulator.cancelled == 0  # no model was asked


REPLIES: list[tuple[Fault, int, str]] = [
    (out_of_memory(), 500, "model requires more system memory (9.1 GiB) than is available (5.2 GiB)"),
    (busy(), 503, "server busy, please try again.  maximum pending requests exceeded"),
    (missing("m"), 404, "model 'm' not found"),
]


@pytest.mark.parametrize(("fault", "status", "text"), REPLIES)
async def test_an_error_status_comes_in_ollamas_form(
    simulator: Simulator, fault: Fault, status: int, text: str
) -> None:
    simulator.script(fault)
    received = await stream(simulator)
    assert (received.status, received.json) == (status, {"error": text})
    assert received.header("Content-Type") == "application/json; charset=utf-8"
    assert simulator.requests[0].ended == "fault"
    assert simulator.resident == []  # the request itself has not been looked at


async def test_too_long_is_json_within_json(simulator: Simulator) -> None:
    simulator.script(too_long(tokens=7, context=5))
    received = await stream(simulator)
    inner = json.loads(received.json["error"])["error"]
    assert (received.status, inner["type"], inner["n_ctx"]) == (400, "exceed_context_size_error", 5)


async def test_forbidden_has_no_body(simulator: Simulator) -> None:
    simulator.script(forbidden())
    received = await stream(simulator)
    assert (received.status, received.body, received.header("Content-Length")) == (403, b"", "0")


async def test_an_empty_reply_is_an_empty_body_with_status_200(simulator: Simulator) -> None:
    simulator.script(Reply())
    received = await stream(simulator)
    assert (received.status, received.body, received.ended) == (200, b"", "complete")


async def test_a_redirect_names_its_target(simulator: Simulator) -> None:
    simulator.script(redirect("http://elsewhere/"))
    received = await stream(simulator)
    assert (received.status, received.header("Location")) == (307, "http://elsewhere/")


async def test_headers_can_be_huge(simulator: Simulator) -> None:
    simulator.script(huge_headers(100_000))
    assert len((await stream(simulator)).header("X-Huge") or "") == 100_000


async def test_raw_bytes_are_sent_as_they_are(simulator: Simulator) -> None:
    simulator.script(Raw(b"SSH-2.0-OpenSSH_9.6\r\n"))
    client = await Client.connect(simulator.url)
    await client.send("GET", "/")
    assert await client.reader.read() == b"SSH-2.0-OpenSSH_9.6\r\n"
    client.close()


async def test_a_body_can_be_shorter_than_promised(simulator: Simulator) -> None:
    simulator.script(short_body(promised=100))
    received = await stream(simulator)
    assert (received.status, received.header("Content-Length"), received.ended) == (200, "100", "close")
    assert received.body == b'{"model":"x"'


# --- within an answer -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["reset", "close"])
async def test_cut_after_some_lines(simulator: Simulator, end: str) -> None:
    simulator.script(Cut(3, end=end))  # type: ignore[arg-type]
    received = await stream(simulator)
    assert (received.ended, contents(received)) == (end, ["one", " two", " three"])
    assert simulator.requests[0].ended == "fault"


async def test_cut_can_end_a_body_as_it_should_end(simulator: Simulator) -> None:
    simulator.script(Cut(3, end="finish"))
    received = await stream(simulator)
    assert (received.ended, contents(received)) == ("complete", ["one", " two", " three"])
    assert not any(frame["done"] for frame in received.frames)


async def test_cut_in_the_middle_of_a_line(simulator: Simulator) -> None:
    simulator.script(Cut(1, inside="line", end="close"))
    received = await stream(simulator)
    first, rest = received.body.split(b"\n")
    assert json.loads(first)["message"]["content"] == "one"
    assert rest.startswith(b'{"model":"m"')
    assert not rest.endswith(b"}")


async def test_half_a_line_can_end_a_body_as_it_should_end(simulator: Simulator) -> None:
    simulator.script(Cut(0, inside="line", end="finish"))
    received = await stream(simulator)
    assert (received.ended, len(received.pieces)) == ("complete", 1)
    assert not received.body.endswith(b"\n")


async def test_cut_in_the_middle_of_a_character(simulator: Simulator) -> None:
    simulator.script(Cut(0, inside="character", end="close"))
    received = await stream(simulator)
    assert received.body.count(b"\n") == 3
    assert received.body.endswith(ACCENT[:1])


async def test_cut_can_leave_the_connection_silent(simulator: Simulator) -> None:
    simulator.script(Cut(2, inside="line", end="hang"))
    client = await Client.connect(simulator.url)
    await client.send("POST", "/api/chat", b'{"model":"m","messages":[{"role":"user","content":"hi"}]}')
    assert len((await client.receive(most=2)).pieces) == 2
    await client.reader.readuntil(b'{"model"')
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await client.reader.readuntil(b"\n}")
    assert simulator.in_flight == 1  # as with a runner that is stuck
    client.close()
    await simulator.wait_idle()
    assert (simulator.cancelled, simulator.in_flight) == (1, 0)


async def test_headers_can_be_all_that_comes(simulator: Simulator) -> None:
    simulator.script(Cut(end="hang"))
    client = await Client.connect(simulator.url)
    await client.send("GET", "/api/version")
    assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await client.reader.read(1)
    client.close()


async def test_cut_after_the_last_line_leaves_the_body_open(simulator: Simulator) -> None:
    simulator.script(Cut(6, end="close"))
    received = await stream(simulator)
    assert (received.ended, received.frames[-1]["done"]) == ("close", True)


async def test_an_answer_with_fewer_lines_is_not_cut(simulator: Simulator) -> None:
    simulator.script(Cut(100, end="reset"))
    assert (await stream(simulator)).ended == "complete"


async def test_a_whole_body_is_one_line_to_a_cut(simulator: Simulator) -> None:
    simulator.script(Cut(inside="line", end="close"))
    received = await whole(simulator)
    assert received.ended == "close"
    assert len(received.body) == int(received.header("Content-Length") or 0) // 2


async def test_an_error_line_ends_a_stream(simulator: Simulator) -> None:
    simulator.script(error_line(2, "it broke"))
    received = await stream(simulator)
    assert (received.ended, len(received.pieces), received.frames[-1]) == ("complete", 3, {"error": "it broke"})


@pytest.mark.parametrize("data", [b"oops\n", b"[1,2]\n", b'{"message":5}\n', b"\n", b"\xff\xfe\n", b'{"done":fal'])
async def test_anything_can_be_put_between_the_lines(simulator: Simulator, data: bytes) -> None:
    simulator.script(Inject(1, data))
    received = await stream(simulator)
    assert received.pieces[1] == data
    assert json.loads(received.pieces[2])["message"]["content"] == " two"
    assert received.ended == "complete"


async def test_something_can_be_put_after_the_last_line(simulator: Simulator) -> None:
    simulator.script(Inject(6, b"more\n"))
    received = await stream(simulator)
    assert received.pieces[-1] == b"more\n"
    assert json.loads(received.pieces[-2])["done"]


async def test_a_line_can_be_huge(simulator: Simulator) -> None:
    simulator.script(huge_line(1, megabytes=3))
    received = await stream(simulator)
    assert len(received.frames[1]["message"]["content"]) == 3_000_000


async def test_the_end_of_a_body_can_be_the_end_of_the_connection(simulator: Simulator) -> None:
    simulator.script(UntilClose())
    received = await stream(simulator)
    assert received.header("Transfer-Encoding") is None
    assert received.header("Connection") == "close"
    assert "".join(contents(received)) == TEXT


async def test_drip_sends_the_same_bytes_one_at_a_time(simulator: Simulator) -> None:
    simulator.script(Drip())
    client = await Client.connect(simulator.url)
    await client.send("GET", "/api/version")
    sizes: list[int] = []
    async with asyncio.timeout(5):
        while sum(sizes) < 100:
            sizes.append(len(await client.reader.read(10)))
    assert max(sizes) < 10
    client.close()


# --- within the runner ------------------------------------------------------------------------------------------------


async def test_a_failure_before_the_first_piece_is_a_status(simulator: Simulator) -> None:
    simulator.script(Fail())
    received = await stream(simulator)
    error = "an error was encountered while running the model: unexpected EOF"
    assert (received.status, received.json) == (500, {"error": error})


async def test_a_failure_after_some_pieces_is_a_line(simulator: Simulator) -> None:
    simulator.script(Fail(2, "CUDA error: out of memory"))
    received = await stream(simulator)
    assert (received.status, received.ended) == (200, "complete")
    assert received.frames[2] == {"error": "CUDA error: out of memory"}
    assert len(received.frames) == 3


async def test_a_failure_while_a_whole_answer_is_awaited_is_a_status(simulator: Simulator) -> None:
    simulator.script(Fail(2, status=503))
    assert (await whole(simulator)).status == 503


async def test_after_a_failure_the_model_is_not_loaded(simulator: Simulator) -> None:
    simulator.script(Fail(2))
    await stream(simulator)
    assert simulator.resident == []
    assert (await stream(simulator)).ended == "complete"
    assert simulator.resident == ["m:latest"]


async def test_a_failure_waits_for_a_request_that_runs_a_model(simulator: Simulator) -> None:
    simulator.script(Fail())
    assert (await ask(simulator.url, "GET", "/api/tags")).status == 200
    assert (await ask(simulator.url, "POST", "/api/embed", {"model": "m", "input": "x"})).status == 500
    assert simulator.resident == []


# --- how faults are ordered -------------------------------------------------------------------------------------------


async def test_a_fault_is_for_one_request_unless_said_otherwise(simulator: Simulator) -> None:
    simulator.script(busy())
    assert [(await stream(simulator)).status for _ in range(2)] == [503, 200]


async def test_a_fault_can_be_for_several_requests(simulator: Simulator) -> None:
    simulator.script(busy(times=2))
    assert [(await stream(simulator)).status for _ in range(3)] == [503, 503, 200]


async def test_a_fault_can_last_until_it_is_taken_back(simulator: Simulator) -> None:
    simulator.script(busy(times=None))
    assert {(await stream(simulator)).status for _ in range(5)} == {503}
    simulator.heal()
    assert (await stream(simulator)).status == 200


async def test_faults_happen_in_their_order(simulator: Simulator) -> None:
    simulator.script(busy(), missing("m"), out_of_memory())
    assert [(await stream(simulator)).status for _ in range(4)] == [503, 404, 500, 200]


async def test_a_fault_can_be_for_one_path(simulator: Simulator) -> None:
    simulator.script(busy(path="/api/chat", times=None))
    assert (await ask(simulator.url, "GET", "/api/tags")).status == 200
    assert (await stream(simulator)).status == 503

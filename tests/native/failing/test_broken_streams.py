"""After the first line, what fails is told in one line, and the answer ends as HTTP says."""

from __future__ import annotations

import asyncio
import json

import pytest

from adapters.ollama.native.relay import RelayEncoder
from gateway.api.native import inference
from gateway.simulator.faults import Cut, Drip, Inject, Raw, UntilClose, error_line
from tests.gateway.test_failover import AFTER_THE_FIRST_EVENT
from tests.native.failing.asking import ask, asked, either, in_one_loop, order, text
from tests.native.trio import TEXT, is_refusal, lines
from tests.running import eventually, running

AFTER = {name: fault for name, (fault, _) in AFTER_THE_FIRST_EVENT.items() if name != "a line that is not JSON"}


@pytest.mark.parametrize("path", TEXT)
@pytest.mark.parametrize("fault", AFTER.values(), ids=AFTER)
@in_one_loop
async def test_a_failure_after_the_first_line_is_one_error_line(served, fault, path):
    first, second, gateway = served
    first.token_seconds = 0.02  # slow enough that the first lines have gone to the caller before the fault
    order(first, fault, path)
    answer = await ask(gateway, path)

    *begun, end = lines(answer)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert begun
    assert all(line["done"] is False for line in begun)
    assert list(end) == ["error"]
    assert answer.content.endswith(b"}\n")
    assert first.url.removeprefix("http://") not in answer.text
    assert asked(second, path) == 0
    await eventually(lambda: gateway.in_flight() == 0)
    assert lines(await ask(gateway, path))[-1]["done"] is True


async def test_an_error_line_is_the_hosts_own(pair):
    first, _ = pair
    first.token_seconds = 0.02
    async with running(first) as gateway:
        order(first, error_line(3, "CUDA error: out of memory <0>"))
        answer = await ask(gateway)

    assert answer.content.splitlines(keepends=True)[3:] == [b'{"error":"CUDA error: out of memory \\u003c0\\u003e"}\n']


async def test_what_a_host_says_between_its_lines_is_passed_on(pair):
    first, _ = pair
    async with running(first) as gateway:
        order(first, Inject(3, b"oops\n"))
        answer = await ask(gateway)

    assert answer.content.splitlines()[3] == b"oops"
    assert json.loads(answer.content.splitlines()[-1])["done"] is True


async def test_an_end_without_a_last_line_is_the_hosts_own_affair(pair):
    first, _ = pair
    async with running(first) as gateway:
        order(first, Cut(4, end="finish"))
        answer = await ask(gateway)

    assert [line["done"] for line in lines(answer)] == [False] * 4


@either
async def test_a_body_that_ends_with_its_connection_is_whole_only_with_a_last_line(pair, stream):
    first, _ = pair
    async with running(first) as gateway:
        order(first, UntilClose())
        whole = await ask(gateway, stream=stream)
        cut = b'HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n\r\n{"message":{"content":"x"},"done":false}\n'
        order(first, Raw(cut))
        short = await ask(gateway, stream=True)

    assert text(whole).endswith("You said: hi")
    assert lines(short) == [{"message": {"content": "x"}, "done": False}, lines(short)[1]]
    assert list(lines(short)[1]) == ["error"]


async def test_an_answer_without_a_content_type_gets_none(pair):
    first, _ = pair
    async with running(first) as gateway:
        order(first, Raw(b'HTTP/1.1 200 OK\r\n\r\n{"done":false}\n{"done":true}\n'))
        answer = await ask(gateway, stream=True)

    assert answer.content == b'{"done":false}\n{"done":true}\n'
    assert "content-type" not in answer.headers


async def test_a_host_that_drips_is_slow_and_right(pair):
    first, _ = pair
    async with running(first) as gateway:
        order(first, Drip())
        answer = await ask(gateway)

    assert text(answer).endswith("You said: hi")


async def test_a_defect_of_the_gateway_within_a_stream_is_an_error_line_too(pair, broken_at_the_third):
    first, _ = pair
    first.token_seconds = 0.01
    broken_at_the_third(RelayEncoder)
    async with running(first) as gateway:
        answer = await ask(gateway)
        await eventually(lambda: first.in_flight == 0 and gateway.in_flight() == 0)

    assert list(lines(answer)[-1]) == ["error"]
    assert "marmalade" not in answer.text


@either
async def test_a_defect_of_the_gateway_before_the_answer_is_told_in_ollamas_shape(pair, monkeypatch, stream):
    monkeypatch.setattr(inference, "Exchange", None)
    async with running(*pair) as gateway:
        answer = await ask(gateway, stream=stream)

    assert is_refusal(answer, 500)


async def test_a_gateway_that_stops_says_so_within_a_stream(pair):
    first, _ = pair
    first.token_seconds = 0.05
    async with running(first, grace=0.1) as gateway:
        asking = asyncio.create_task(ask(gateway))
        await eventually(lambda: first.in_flight == 1)
        gateway.server.should_exit = True
        answer = await asking

    assert lines(answer)[-1] == {"error": "The gateway is shutting down."}


async def test_a_host_that_dies_under_many_streams_leaves_nothing_behind(pair):
    first, second = pair
    for host in pair:
        host.token_seconds = 0.02
    async with running(first, second) as gateway:
        asking = [asyncio.create_task(ask(gateway)) for _ in range(20)]
        await eventually(lambda: first.in_flight > 2)
        await first.kill()
        answers = await asyncio.gather(*asking)
        await eventually(lambda: gateway.in_flight() == 0)

    ends = [lines(answer)[-1] for answer in answers]
    assert all(end.get("done") or list(end) == ["error"] for end in ends)
    assert any(end.get("done") for end in ends)

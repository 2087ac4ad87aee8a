"""Hosts that fail: before the first event another one answers, after it the caller gets one error event."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from adapters.openai.chat import StreamEncoder
from gateway.config import Timeouts
from gateway.simulator import Simulator, named
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
from tests.running import chats, events, eventually, running, text

SAID = "This is the demo model of ollama-gateway: a simulation, not a language model. You said: hi"
QUICK = Timeouts(connect=1, first_byte=0.3, between=0.3)

BEFORE_THE_FIRST_EVENT = {
    "reset": Cut(0, end="reset"),
    "closed without a word": Raw(b""),
    "hangs before the headers": Hang(),
    "hangs after the headers": Cut(0, end="hang"),
    "half a line, then silence": Cut(0, inside="line", end="hang"),
    "half a line, then reset": Cut(0, inside="line", end="reset"),
    "half a line, then the end": Cut(0, inside="line", end="finish"),
    "an empty body": Reply(),
    "not HTTP": Raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "headers without end": Raw(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000, end="hang"),
    "huge headers": huge_headers(200_000),
    "not JSON": Reply(body=b"<html>hello</html>"),
    "JSON of another shape": Reply(body=b'["x"]\n'),
    "an answer of something else": Reply(body=b'{"hello": "world"}\n'),
    "less than promised": short_body(),
    "a redirect": redirect("http://127.0.0.1:9/"),
    "queue full": busy(),
    "out of memory": out_of_memory(),
    "forbidden": forbidden(),
    "missing after all": missing("demo:latest"),
    "a bad gateway before it": Reply(502, b"<html>Bad Gateway</html>", content_type="text/html"),
    "an error line at once": error_line(0, "an error was encountered while running the model: unexpected EOF"),
    "the runner died": Fail(0),
    "a line of 20 MB": Inject(0, b'{"x":"' + b"y" * 20_000_000 + b'"}\n'),
}


def order(host: Simulator, fault: Fault) -> None:
    """Order a fault for the next chat: looks at the host do not use it up."""
    host.script(replace(fault, path="/api/chat"))


@pytest.fixture
async def pair():
    """Two hosts with one model; the first is asked first."""
    async with Simulator() as first, Simulator() as second:
        yield first, second


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("fault", BEFORE_THE_FIRST_EVENT.values(), ids=BEFORE_THE_FIRST_EVENT)
async def test_a_failure_before_the_first_event_is_answered_by_the_next_host(pair, fault, stream):
    first, second = pair
    async with running(first, second, timeouts=QUICK) as gateway:
        order(first, fault)
        answer = await gateway.chat(stream=stream)

        assert answer.status_code == 200
        assert answer.headers["x-gateway-host"] == "host-1"
        said = text(answer.text) if stream else answer.json()["choices"][0]["message"]["content"]
        assert said == SAID
        assert len(chats(second)) == 1
        await eventually(lambda: gateway.in_flight() == 0)
        await first.wait_idle()
        assert (await gateway.chat(stream=stream)).status_code == 200


async def test_a_host_that_is_off_is_left_out_at_once(pair):
    first, second = pair
    async with running(first, second) as gateway:
        await first.kill()
        answers = [await gateway.chat() for _ in range(3)]

    assert [answer.headers["x-gateway-host"] for answer in answers] == ["host-1"] * 3


async def test_a_host_that_returns_is_used_again(pair):
    first, second = pair
    async with running(first, second, probe_interval=0.05) as gateway:
        await first.kill()
        await gateway.chat()
        await first.start()
        await eventually(lambda: gateway.gateway.fleet.hosts["host-0"].view.up)
        await second.kill()
        await eventually(lambda: not gateway.gateway.fleet.hosts["host-1"].view.up)
        answer = await gateway.chat()

    assert answer.headers["x-gateway-host"] == "host-0"


async def test_a_whole_answer_begins_anew_elsewhere_when_its_host_dies_in_the_middle(pair):
    first, second = pair
    order(first, Fail(5))
    async with running(first, second) as gateway:
        answer = await gateway.chat()

    assert answer.json()["choices"][0]["message"]["content"] == SAID
    assert answer.headers["x-gateway-host"] == "host-1"


AFTER_THE_FIRST_EVENT = {
    "reset": (Cut(3, end="reset"), "upstream_error"),
    "closed": (Cut(3, end="close"), "upstream_error"),
    "half a line, then reset": (Cut(3, inside="line", end="reset"), "upstream_error"),
    "half a line, then the end": (Cut(3, inside="line", end="finish"), "upstream_error"),
    "half a line, then silence": (Cut(3, inside="line", end="hang"), "timeout"),
    "silence": (Cut(3, end="hang"), "timeout"),
    "the runner dies": (Fail(3), "upstream_error"),
    "out of memory": (error_line(3, "CUDA error: out of memory"), "out_of_memory"),
    "a line that is not JSON": (Inject(3, b"oops\n"), "upstream_error"),
    "a line of 20 MB": (huge_line(3, megabytes=20), "upstream_error"),
}


@pytest.mark.parametrize(("fault", "code"), AFTER_THE_FIRST_EVENT.values(), ids=AFTER_THE_FIRST_EVENT)
async def test_a_failure_after_the_first_event_is_one_error_event(pair, fault, code):
    first, second = pair
    # Slow enough that the first lines have gone to the caller before the fault.
    first.token_seconds = 0.02
    async with running(first, second, timeouts=QUICK) as gateway:
        order(first, fault)
        answer = await gateway.chat(stream=True)

        *begun, end = events(answer.text)
        assert answer.status_code == 200
        assert text(answer.text)
        assert SAID.startswith(text(answer.text))
        assert "error" not in begun[-1]
        assert (set(end), set(end["error"])) == ({"error"}, {"message", "type", "param", "code"})
        assert (end["error"]["type"], end["error"]["code"]) == ("server_error", code)
        assert first.url.removeprefix("http://") not in answer.text
        assert chats(second) == []
        await eventually(lambda: gateway.in_flight() == 0)
        assert (await gateway.chat(stream=True)).text.endswith("data: [DONE]\n\n")


async def test_an_end_without_a_last_line_is_finished_by_the_gateway(pair):
    first, second = pair
    order(first, Cut(4, end="finish"))
    async with running(first, second) as gateway:
        answer = await gateway.chat(stream=True, stream_options={"include_usage": True})

    *_, finish, usage, done = events(answer.text)
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert usage["usage"]["completion_tokens"] == 4
    assert usage["ollama"]["usage_estimated"] is True
    assert done == "[DONE]"


async def test_a_body_that_ends_with_its_connection_is_whole_only_with_a_last_line(pair):
    first, _ = pair
    async with running(first) as gateway:
        order(first, UntilClose())
        whole = await gateway.chat(stream=True)
        cut = b'HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n\r\n{"message":{"content":"x"},"done":false}\n'
        order(first, Raw(cut))
        short = await gateway.chat(stream=True)

    assert text(whole.text) == SAID
    assert whole.text.endswith("data: [DONE]\n\n")
    assert text(short.text) == "x"
    assert events(short.text)[-1]["error"]["code"] == "upstream_error"


async def test_a_host_that_drips_is_slow_and_right(pair):
    first, second = pair
    async with running(first, second) as gateway:
        order(first, Drip())
        answer = await gateway.chat(stream=True)

    assert text(answer.text) == SAID


async def test_a_request_that_hosts_break_on_is_not_taken_to_all_of_them():
    async with Simulator() as a, Simulator() as b, Simulator() as c, running(a, b, c) as gateway:
        for host in (a, b, c):
            order(host, Fail(0))
        answer = await gateway.chat()

        assert answer.status_code == 502
        assert answer.json()["error"]["code"] == "upstream_error"
        assert sum(len(chats(host)) for host in (a, b, c)) == 2


async def test_busy_hosts_are_all_tried_and_then_the_caller_is_told_when_to_come_back():
    async with Simulator() as a, Simulator() as b, Simulator() as c, running(a, b, c) as gateway:
        for host in (a, b, c):
            order(host, busy())
        answer = await gateway.chat()

        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "overloaded"
        assert int(answer.headers["retry-after"]) >= 1
        assert "x-should-retry" not in answer.headers
        assert sum(len(chats(host)) for host in (a, b, c)) == 3


@pytest.mark.parametrize("faults", [(busy(), missing("demo")), (missing("demo"), busy())], ids=["first", "last"])
async def test_a_full_queue_is_what_counts_when_another_host_lacks_the_model(pair, faults):
    async with running(*pair) as gateway:
        for host, fault in zip(pair, faults, strict=True):
            order(host, fault)
        answer = await gateway.chat()

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "overloaded")
    assert answer.headers["retry-after"] == "2"


async def test_a_full_queue_is_what_counts_when_another_host_is_off(pair):
    first, second = pair
    async with running(first, second) as gateway:
        order(first, busy())
        await second.kill()
        answer = await gateway.chat()

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "overloaded")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_whole_answer_may_end_with_its_connection(pair, stream):
    first, _ = pair
    async with running(first) as gateway:
        order(first, UntilClose())
        answer = await gateway.chat(stream=stream)

    assert answer.status_code == 200


async def test_a_defect_of_the_gateway_within_a_stream_is_an_error_event_too(pair, broken_at_the_third):
    first, _ = pair
    first.token_seconds = 0.01
    broken_at_the_third(StreamEncoder)
    async with running(first) as gateway:
        answer = await gateway.chat(stream=True)
        await eventually(lambda: first.in_flight == 0 and gateway.in_flight() == 0)

    assert events(answer.text)[-1]["error"]["code"] == "internal_error"
    assert "marmalade" not in answer.text


async def test_a_mistake_of_the_caller_is_not_taken_elsewhere(pair):
    first, second = pair
    order(first, too_long())
    async with running(first, second) as gateway:
        answer = await gateway.chat()

    assert answer.status_code == 400
    assert answer.headers["x-should-retry"] == "false"
    assert answer.json()["error"] | {"message": ""} == {
        "message": "",
        "type": "invalid_request_error",
        "param": "messages",
        "code": "context_length_exceeded",
    }
    assert "5000" in answer.json()["error"]["message"]
    assert chats(second) == []


async def test_a_model_that_all_hosts_lack_after_all_is_not_found(pair):
    first, second = pair
    async with running(first, second) as gateway:
        for host in pair:
            order(host, missing("demo:latest"))
        answer = await gateway.chat()

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"


async def test_a_model_on_a_host_that_is_down_is_not_there_now():
    first, second = Simulator(models=named("a")), Simulator(models=named("b"))
    async with first, second, running(first, second) as gateway:
        await first.kill()
        unreachable = await gateway.chat(model="a")
        down = await gateway.chat(model="a")
        other = await gateway.chat(model="b")

    assert (unreachable.status_code, unreachable.json()["error"]["code"]) == (502, "upstream_unreachable")
    assert (down.status_code, down.json()["error"]["code"]) == (503, "no_host_available")
    assert down.headers["retry-after"] == "5"
    assert other.status_code == 200


async def test_a_host_that_dies_under_many_streams_leaves_nothing_behind(pair):
    first, second = pair
    for host in pair:
        host.token_seconds = 0.02
    async with running(first, second) as gateway:
        asking = [asyncio.create_task(gateway.chat(stream=True)) for _ in range(20)]
        await eventually(lambda: first.in_flight > 2)
        await first.kill()
        answers = await asyncio.gather(*asking)
        await eventually(lambda: gateway.in_flight() == 0)

    ends = [events(answer.text)[-1] for answer in answers]
    assert all(end == "[DONE]" or end["error"]["code"] == "upstream_error" for end in ends)
    assert "[DONE]" in ends


async def test_a_connection_that_is_reset_as_soon_as_it_is_made(pair):
    first, second = pair
    async with running(first, second) as gateway:
        first.script(Reset(times=None))
        for _ in range(3):
            assert (await gateway.chat()).status_code == 200


async def test_a_host_that_was_never_up_may_have_the_model(pair):
    first, second = pair
    await second.kill()
    async with running(first, second) as gateway:
        answer = await gateway.chat(model="somewhere")

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_host_available")
    assert "one host is down, and may have it" in answer.json()["error"]["message"]

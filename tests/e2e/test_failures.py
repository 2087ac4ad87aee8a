"""Hosts that fail, as the SDK's exceptions tell it, and what the SDK then does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
import pytest_asyncio
from msgspec.structs import replace

from gateway.simulator import Simulator, named
from gateway.simulator.faults import Cut, Fail, Fault, Hang, Raw, busy, error_line, forbidden, out_of_memory
from tests.e2e.calling import Caller, calling, said
from tests.e2e.cast import LONG, SAID
from tests.e2e.conftest import Ask, Fleet, Host, serving
from tests.gateway.simulator.tiny import tiny_chat, tiny_native, tiny_unloadable
from tests.running import Timeouts, chats

IN_THE_PACKAGE = pytest.mark.asyncio(loop_scope="package")


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def served() -> AsyncIterator[Fleet]:
    """The hosts, of which the gateway expects more haste than elsewhere."""
    async with serving(timeouts=Timeouts(connect=1, first_byte=0.5, between=0.5)) as fleet:
        yield fleet


def on_chats(fault: Fault) -> Fault:
    """Return the fault for chats alone: the gateway asks a host other things too."""
    return replace(fault, path="/api/chat")


# --- before the first token -------------------------------------------------------------------------------------------

FAILURES: dict[str, tuple[Fault, int, str]] = {
    "a full queue": (busy(times=None), 503, "overloaded"),
    "no memory": (out_of_memory(times=None), 503, "out_of_memory"),
    "a crash of the runner": (Fail(times=None), 502, "upstream_error"),
    "a connection that breaks": (Cut(times=None), 502, "upstream_error"),
    "no HTTP": (Raw(b"what?", times=None), 502, "upstream_error"),
    "no answer": (Hang(times=None), 504, "timeout"),
}


@IN_THE_PACKAGE
@pytest.mark.parametrize(("fault", "status", "code"), FAILURES.values(), ids=list(FAILURES))
@pytest.mark.parametrize("way", ["async", "sync, streamed"])
async def test_a_failure_before_the_first_token_has_a_status(
    ask: Ask, host: Host, fault: Fault, status: int, code: str
) -> None:
    host.simulator.script(on_chats(fault))
    with pytest.raises(openai.InternalServerError) as caught:
        await ask("chat", retries=0)
    host.simulator.heal()
    completion = await ask("chat")

    error = caught.value
    assert (error.status_code, error.code, error.type, error.param) == (status, code, "server_error", None)
    assert "x-should-retry" not in error.response.headers
    assert host.simulator.url.removeprefix("http://") not in str(error.body)
    assert completion.choices[0].message.content == SAID


@IN_THE_PACKAGE
async def test_what_cannot_be_mended_by_sending_it_again_is_not_sent_again(
    ask: Ask, caller: Caller, host: Host
) -> None:
    """The SDK would repeat each 5xx twice, had the answer not said that it is in vain."""
    host.simulator.script(on_chats(forbidden()))
    with pytest.raises(openai.InternalServerError) as caught:
        await ask("chat")

    assert (caught.value.status_code, caught.value.code) == (502, "upstream_refused")
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert len(caller.answers) == len(host.chats) == 1


@pytest.mark.parametrize("way", ["async", "sync, streamed"])
async def test_a_model_that_cannot_be_loaded_is_asked_for_once(way: str) -> None:
    async with Simulator(models=[tiny_unloadable]) as host, calling(host) as caller:
        with pytest.raises(openai.InternalServerError) as caught:
            await caller.ask(way, model="tiny-unloadable", messages=said("hi"))

        assert len(caller.answers) == len(chats(host)) == 1
    assert (caught.value.status_code, caught.value.code) == (503, "model_load_failed")
    assert "tensor" not in caught.value.message


async def test_a_full_queue_is_retried_by_the_sdk_until_it_is_not() -> None:
    """The host loads a model, and lets nobody wait for another one meanwhile."""
    models = named("slow", "other")
    async with Simulator(models=models, max_queue=0, load_seconds=0.3) as host, calling(host) as caller:
        loading = asyncio.create_task(caller.ask("async", model="slow", messages=said("hi")))
        await host.wait_until(lambda: bool(chats(host)))
        asking = [caller.ask(way, model="other", messages=said("hi")) for way in ("sync", "async, streamed")]
        completions = await asyncio.gather(*asking)
        await loading

        answers = [answer for answer in caller.answers if answer.asked["model"] == "other"]
    assert [completion.choices[0].finish_reason for completion in completions] == ["stop", "stop"]
    assert [answer.status for answer in answers] == [503, 503, 200, 200]
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers[:2])
    assert not any("x-should-retry" in answer.headers for answer in answers)


@pytest.mark.parametrize("version", ["0.24.0", "0.33.0"])
async def test_a_host_that_is_gone_is_no_connection_error(version: str) -> None:
    """To the SDK the gateway is there, and says what is not."""
    chat = replace(tiny_chat, name="chat")
    async with Simulator(version=version, models=[chat]) as host, calling(host) as caller:
        await host.kill()
        for known in (False, True):
            with pytest.raises(openai.InternalServerError) as caught:
                await caller.ask("async", model="chat", messages=said("hi"), retries=0)
            expected = (503, "no_host_available") if known else (502, "upstream_unreachable")
            assert (caught.value.status_code, caught.value.code) == expected
        await host.start()
        await caller.gateway.seen()
        completion = await caller.ask("async", model="chat", messages=said("hi"))

    assert int(caught.value.response.headers["retry-after"]) >= 1
    assert completion.choices[0].message.content == SAID


@pytest.mark.parametrize("way", ["sync", "async, streamed"])
@pytest.mark.parametrize("fault", [Cut(), Fail(), busy()], ids=["a connection that breaks", "a crash", "a full queue"])
async def test_another_host_answers_and_the_sdk_does_not_notice(way: str, fault: Fault) -> None:
    async with (
        Simulator(version="0.24.0", models=[replace(tiny_chat, name="chat")]) as old,
        Simulator(version="0.33.0", models=[replace(tiny_native, name="chat")]) as new,
        calling(old, new) as caller,
    ):
        old.script(on_chats(fault))
        completion = await caller.ask(way, model="chat", messages=said("hi"))

        [answer] = caller.answers
        assert len(chats(old)) == len(chats(new)) == 1
    assert (answer.status, answer.headers["x-gateway-host"]) == (200, "host-1")
    assert completion.choices[0].message.content == SAID


# --- after it ---------------------------------------------------------------------------------------------------------

BREAKS: dict[str, Fault] = {
    "a crash of the runner": Fail(3),
    "a reset": Cut(3, end="reset"),
    "a reset within a line": Cut(3, inside="line", end="reset"),
    "an end in the middle": Cut(3, end="close"),
    "silence": Cut(3, end="hang"),
    "an error line": error_line(3, "something new"),
}


@IN_THE_PACKAGE
@pytest.mark.parametrize("fault", BREAKS.values(), ids=list(BREAKS))
@pytest.mark.parametrize("way", ["sync, streamed", "async, streamed"])
async def test_a_failure_within_a_stream_is_raised_from_it(ask: Ask, caller: Caller, host: Host, fault: Fault) -> None:
    host.simulator.script(on_chats(fault))
    with pytest.raises(openai.APIError) as caught:
        await ask("chat")
    completion = await ask("chat")

    broken, whole = caller.answers  # two, so the broken one was not asked for again
    error = caught.value
    assert type(error) is openai.APIError  # none that the SDK makes of a connection that broke
    assert error.code == ("timeout" if fault == BREAKS["silence"] else "upstream_error")
    assert (error.type, error.param) == ("server_error", None)
    assert error.message == broken.data[-1]["error"]["message"]
    words = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in broken.data[:-1])
    assert words
    assert SAID.startswith(words)
    assert whole.status == 200
    assert completion.choices[0].message.content == SAID


@pytest.mark.parametrize("way", ["async", "async, streamed"])
async def test_a_host_that_is_killed_in_the_middle(way: str) -> None:
    """A stream ends with an error; a whole answer comes from the other host. The next call does so in any case."""
    streamed = way == "async, streamed"
    long: dict[str, Any] = {"model": "chat", "messages": said("long")}
    async with (
        Simulator(version="0.24.0", models=[replace(tiny_chat, name="chat")], token_seconds=0.01) as old,
        Simulator(version="0.33.0", models=[replace(tiny_native, name="chat")]) as new,
        calling(old, new) as caller,
    ):
        asking = asyncio.create_task(caller.ask(way, **long))
        await old.wait_until(lambda: old.in_flight > 0)
        if streamed:
            await old.wait_until(lambda: any(answer.data[1:] for answer in caller.answers))
        await old.kill()
        if streamed:
            with pytest.raises(openai.APIError, match="connection"):
                await asking
        else:
            assert (await asking).choices[0].message.content == LONG
        completion = await caller.ask(way, **long)

        assert len(chats(new)) == (1 if streamed else 2)
    assert completion.choices[0].message.content == LONG

"""Several answers to one request, made at the same time."""

from __future__ import annotations

import asyncio
import json

import pytest
from msgspec.structs import replace

from gateway.config import ModelSettings, Timeouts
from gateway.simulator import Simulator, demo, says
from gateway.simulator.faults import Fail, Hang, error_line, out_of_memory
from tests.running import Running, chats, events, eventually, running

LONG = replace(demo, name="long", speak=says(" ".join(f"{number}{'x' * 2000}" for number in range(3_000))))
"""Six megabytes: more than the sockets between two programs hold."""


def texts(answer: str) -> dict[int, str]:
    """Return the text of each choice of a stream."""
    found: dict[int, str] = {}
    for event in events(answer)[:-1]:
        for choice in event["choices"]:
            found[choice["index"]] = found.get(choice["index"], "") + (choice["delta"].get("content") or "")
    return found


@pytest.fixture
async def host():
    async with Simulator() as host:
        yield host


async def load(gateway: Running, *hosts: Simulator, model: str = "demo") -> None:
    """Have the model in the memory of these hosts."""
    for host in hosts:
        await gateway.client.post(f"{host.url}/api/generate", json={"model": model})
    await gateway.seen()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_choices_go_where_slots_are_free(stream):
    async with Simulator(parallel=2) as one, Simulator(parallel=2) as other, running(one, other) as gateway:
        await load(gateway, one, other)
        one.first_token_seconds = other.first_token_seconds = 0.1
        answer = await gateway.chat(n=4, stream=stream)

        assert answer.status_code == 200
        assert (len(chats(one)), len(chats(other))) == (2, 2)
        if not stream:  # a stream begins with the choice that is first
            assert answer.headers["x-gateway-host"] == "host-0, host-1"


async def test_choices_load_the_model_nowhere_else():
    """Not where it would have to be loaded first while it is in memory elsewhere, and in one place when it is in none."""
    async with Simulator(parallel=2) as one, Simulator(parallel=2) as other, running(one, other) as gateway:
        cold = await gateway.chat(n=4)
        assert (cold.status_code, sorted([one.loads, other.loads])) == (200, [0, 1])

        await gateway.seen()
        warm = await gateway.chat(n=4)
        assert (warm.status_code, sorted([one.loads, other.loads])) == (200, [0, 1])
        assert sorted([len(chats(one)), len(chats(other))]) == [0, 8]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_choices_that_wait_for_a_slot_do_not_run_out_of_time(stream):
    """Five wait for the first one, in the gateway and not at the host: its time-out is for one answer."""
    async with Simulator(parallel=1) as host, running(host, timeouts=Timeouts(first_byte=0.9)) as gateway:
        host.first_token_seconds = 0.25
        answer = await gateway.chat(n=6, stream=stream)

        assert answer.status_code == 200
        assert "error" not in answer.text
        assert len(chats(host)) == 6


async def test_all_choices_are_of_the_same_weights():
    old, new = replace(demo, speak=says("old")), replace(demo, speak=says("new"), blob="new")
    async with Simulator(models=[old]) as one, Simulator(models=[new]) as other, running(one, other) as gateway:
        for _ in range(3):
            answer = (await gateway.chat(n=3)).json()
            assert len({choice["message"]["content"] for choice in answer["choices"]}) == 1


async def test_what_had_no_effect_is_named_whichever_choice_begins():
    plain = replace(demo, capabilities=("completion",))
    async with Simulator(models=[plain]) as one, Simulator(models=[plain]) as other, running(one, other) as gateway:
        await load(gateway, one, other)
        for slow, quick in ((one, other), (other, one)):
            slow.first_token_seconds, quick.first_token_seconds = 0.2, 0.0
            answer = await gateway.chat(n=2, stream=True, reasoning_effort="high")
            assert answer.headers["x-gateway-ignored"] == "reasoning_effort"


async def test_each_choice_has_a_seed_of_its_own(host):
    async with running(host, models={"demo": ModelSettings(options={"seed": 40})}) as gateway:
        await gateway.chat(n=3, seed=7)
        await gateway.chat(n=2)

    assert sorted(chat["options"]["seed"] for chat in chats(host)[:3]) == [7, 8, 9]
    assert sorted(chat["options"]["seed"] for chat in chats(host)[3:]) == [40, 41]


async def test_pieces_of_all_choices_come_as_they_are_made(host):
    host.token_seconds = 0.01
    async with running(host) as gateway:
        answer = await gateway.chat(n=2, stream=True)

    order = [choice["index"] for event in events(answer.text)[:-1] for choice in event["choices"]]
    assert order not in ([0] * order.count(0) + [1] * order.count(1), [1] * order.count(1) + [0] * order.count(0))
    assert texts(answer.text)[0] == texts(answer.text)[1]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_host_that_answers_one_at_a_time_answers_all(stream):
    """While a choice waits for its turn the answers before it must be read, or their host could not finish them."""
    async with Simulator(models=[LONG], parallel=1) as host, running(host) as gateway:
        answer = await gateway.chat(model="long", n=3, stream=stream)

        assert answer.status_code == 200
        assert len(chats(host)) == 3
        if stream:
            assert {len(text) for text in texts(answer.text).values()} == {len(texts(answer.text)[0])}
            assert len(texts(answer.text)) == 3
        else:
            assert [choice["index"] for choice in answer.json()["choices"]] == [0, 1, 2]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_one_choice_whose_host_fails_is_made_by_another(stream):
    async with Simulator() as one, Simulator() as other, running(one, other) as gateway:
        one.script(replace(out_of_memory(), path="/api/chat"))
        answer = await gateway.chat(n=2, stream=stream)

        assert answer.status_code == 200
        assert len(chats(one)) + len(chats(other)) == 3


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_choice_that_no_host_makes_is_the_failure_of_all(host, stream):
    async with running(host) as gateway:
        host.script(replace(out_of_memory(), path="/api/chat"), Hang(path="/api/chat"))
        answer = await gateway.chat(n=2, stream=stream)

        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "out_of_memory")
        await eventually(lambda: gateway.in_flight() == 0)


async def test_a_choice_that_fails_in_the_middle_ends_the_stream_with_one_error(host):
    async with running(host) as gateway:
        host.token_seconds = 0.01
        host.script(replace(error_line(3, "an error was encountered while running the model"), path="/api/chat"))
        answer = await gateway.chat(n=2, stream=True)
        *before, last = events(answer.text)

        assert before
        assert last["error"]["code"] == "upstream_error"
        assert "[DONE]" not in answer.text
        await eventually(lambda: host.in_flight == 0 and gateway.in_flight() == 0)


async def test_a_choice_that_fails_in_the_middle_of_a_whole_answer_is_made_again():
    async with Simulator() as one, Simulator() as other, running(one, other) as gateway:
        one.script(replace(Fail(3), path="/api/chat"))
        answer = await gateway.chat(n=2)

        assert answer.status_code == 200
        assert len(chats(one)) + len(chats(other)) == 3


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_caller_who_leaves_stops_all_choices(host, stream):
    host.token_seconds = 1
    async with running(host) as gateway:
        body = json.dumps({"model": "demo", "messages": [{"role": "user", "content": "hi"}], "n": 3, "stream": stream})
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % len(body)
            + body.encode()
        )
        await eventually(lambda: len(chats(host)) == 3)
        writer.close()
        await writer.wait_closed()

        await eventually(lambda: host.cancelled == 3 and host.in_flight == 0 and gateway.in_flight() == 0)


async def test_the_log_has_one_line_that_counts_all(host, log):
    async with running(host) as gateway:
        usage = (await gateway.chat(n=3)).json()["usage"]
        single = (await gateway.chat()).json()["usage"]
        await eventually(lambda: gateway.in_flight() == 0)

    line = next(line for line in log() if line.get("tried") == 3)
    assert (line["prompt_tokens"], line["completion_tokens"]) == (usage["prompt_tokens"], usage["completion_tokens"])
    assert usage["prompt_tokens"] == single["prompt_tokens"]
    assert usage["completion_tokens"] == 3 * single["completion_tokens"]
    assert (line["finish"], line["host"], line["status"]) == ("stop", "host-0", 200)


async def test_more_choices_than_the_configuration_allows(host):
    async with running(host, max_choices=2) as gateway:
        answer = await gateway.chat(n=3)

        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == "n"
        assert (await gateway.chat(n=2)).status_code == 200

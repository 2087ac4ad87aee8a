"""Vectors through a gateway: what hosts say arrives as they say it, and large batches are shared between hosts."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import httpx2
import pytest
from msgspec.structs import replace

from gateway.config import ModelSettings, Timeouts
from gateway.simulator import SimulatedModel, Simulator, demo
from gateway.simulator.faults import Cut, Fail, Hang, Raw, Reply, UntilClose, busy, out_of_memory, refusal
from tests.running import Running, eventually, running

EMBEDDER = SimulatedModel(name="embedder", capabilities=("embedding",), family="bert", embedding_length=32)
TEXTS = [f"the text of number {number:02}" for number in range(64)]


class Retrained(SimulatedModel, frozen=True, kw_only=True):
    """A model of the same name with other weights."""

    @property
    def digest(self) -> str:
        return "f" * 64


RETRAINED = Retrained(name="embedder", capabilities=("embedding",), family="bert", embedding_length=32)


def embeds(host: Simulator) -> list[list[str]]:
    """Return the texts of each request that a host got."""
    return [request.json["input"] for request in host.requests if request.path == "/api/embed"]


async def ask(gateway: Running, texts=TEXTS, **fields) -> httpx2.Response:
    return await gateway.client.post("/v1/embeddings", json={"model": "embedder", "input": texts, **fields})


async def native(host: Simulator, texts=TEXTS) -> list[str]:
    """Return the vectors that a host itself gives, each as the host writes it; the request counts for nothing."""
    async with httpx2.AsyncClient(base_url=host.url, trust_env=False) as client:
        answer = await client.post("/api/embed", json={"model": "embedder", "input": texts})
    host.requests.clear()
    return answer.text.partition('"embeddings":[[')[2].partition("]]")[0].split("],[")


def given(answer: httpx2.Response) -> list[str]:
    """Return the vectors of an answer, as they are written there."""
    assert answer.status_code == 200, answer.text
    return [piece.partition("]}")[0] for piece in answer.text.split('"embedding":[')[1:]]


@pytest.fixture
async def host():
    async with Simulator(models=[EMBEDDER, demo], parallel=1) as host:
        yield host


@asynccontextmanager
async def serving(*models: SimulatedModel, cold: int = 0, parallel: int = 1, **settings):
    """Yield a gateway and its hosts, one for each model; all but the last few have theirs in memory."""
    async with AsyncExitStack() as stack:
        hosts = [await stack.enter_async_context(Simulator(models=[model], parallel=parallel)) for model in models]
        for host in hosts[: len(hosts) - cold]:
            await native(host, ["load"])
        gateway = await stack.enter_async_context(running(*hosts, **settings))
        await gateway.seen()
        yield gateway, *hosts


# --- one call ---------------------------------------------------------------------------------------------------------


async def test_the_text_of_every_number_is_the_hosts(host):
    async with running(host) as gateway:
        answer = await ask(gateway)

        assert given(answer) == await native(host)


async def test_an_answer_says_how_it_came_to_be(host, log):
    async with running(host) as gateway:
        answer = await ask(gateway, ["one two three", "four"], user="ada", verbosity="low")

    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-gateway-host"] == "host-0"
    assert answer.headers["x-gateway-route"] == "cold, 0 of 1 in flight, 1 host"
    assert answer.headers["x-gateway-ignored"] == "verbosity"
    assert answer.json()["usage"] == {"prompt_tokens": 4, "total_tokens": 4}
    assert answer.json()["ollama"].keys() == {"total_duration", "load_duration"}
    [line] = [line for line in log() if line["event"] == "request"]
    assert (line["path"], line["model"], line["host"]) == ("/v1/embeddings", "embedder:latest", "host-0")
    assert (line["user"], line["status"], line["finish"]) == ("ada", 200, "stop")
    assert (line["prompt_tokens"], line["completion_tokens"]) == (4, 0)


async def test_the_models_settings_hold_where_the_caller_says_nothing(host):
    settings = ModelSettings(
        options={"num_ctx": 64}, keep_alive="1h", truncate=True, aliases=("text-embedding-3-small",)
    )
    async with running(host, models={"embedder": settings}) as gateway:
        await ask(gateway, "hi", model="text-embedding-3-small")
        await ask(gateway, "hi", options={"num_ctx": 32}, keep_alive=5, truncate=False)

    sent = [request.json for request in host.requests if request.path == "/api/embed"]
    assert [(body["options"], body["keep_alive"], body["truncate"]) for body in sent] == [
        ({"num_ctx": 64}, "1h", True),
        ({"num_ctx": 32}, 5, False),
    ]


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"input": []}, "input", "empty_array"),
        ({"input": ["a", 5]}, "input[1]", "invalid_type"),
        ({"dimensions": 33}, "dimensions", "invalid_value"),
        ({"input": "word " * 40, "options": {"num_ctx": 32}}, "input", "context_length_exceeded"),
        ({"model": "demo", "input": "hi", "encoding_format": "int8"}, "encoding_format", "invalid_value"),
    ],
)
async def test_what_cannot_be_done_is_refused_at_once(host, fields, param, code):
    async with running(host) as gateway:
        answer = await ask(gateway, **{"texts": "hi", **{"texts" if k == "input" else k: v for k, v in fields.items()}})

    assert answer.status_code == 400
    assert (answer.json()["error"]["param"], answer.json()["error"]["code"]) == (param, code)
    assert answer.headers["x-should-retry"] == "false"


async def test_a_model_that_no_host_has_is_not_found(host):
    async with running(host) as gateway:
        answer = await ask(gateway, model="embeder")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    assert "Did you mean embedder?" in answer.json()["error"]["message"]


BROKEN = {
    "reset": Cut(end="reset"),
    "half of it, then reset": Cut(inside="line", end="reset"),
    "half of it, then its end": Cut(inside="line", end="finish"),
    "half of it, then silence": Cut(inside="line", end="hang"),
    "nothing": Hang(),
    "empty": Reply(),
    "no JSON": Reply(body=b"<html>hello</html>"),
    "no vectors": Reply(body=b'{"model":"embedder","embeddings":[]}'),
    "a vector too few": Reply(body=b'{"model":"embedder","embeddings":[[1]]}'),
    "no numbers": Reply(body=b'{"model":"embedder","embeddings":[["a"],["b"]]}'),
    "an error with status 200": Reply(body=b'{"error":"an error was encountered while running the model"}'),
    "more than there can be": Reply(body=b'{"embeddings":[[' + b"1," * 900_000),
    "the process died": Fail(),
    "not a number": refusal(400, "embedding contains NaN or Inf values"),
    "out of memory": out_of_memory(),
    "queue full": busy(),
    "not HTTP": Raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
}


@pytest.mark.parametrize("fault", BROKEN.values(), ids=BROKEN)
async def test_when_a_host_fails_another_one_answers(fault):
    quick = Timeouts(first_byte=0.3, between=0.3)
    async with serving(EMBEDDER, EMBEDDER, timeouts=quick) as (gateway, first, second):
        first.script(replace(fault, path="/api/embed"))
        answer = await ask(gateway, ["a", "b"])

        assert given(answer) == await native(second, ["a", "b"])
        assert answer.headers["x-gateway-host"] == "host-1"
        assert gateway.in_flight() == 0


async def test_an_answer_that_ends_with_its_connection_is_whole(host):
    host.script(UntilClose(path="/api/embed"))
    async with running(host) as gateway:
        assert given(await ask(gateway)) == await native(host)


async def test_a_host_too_old_to_cut_vectors_is_passed_over():
    async with serving(EMBEDDER, EMBEDDER) as (gateway, first, _):
        [vector] = await native(first, ["a"])
        first.script(Reply(body=b'{"embeddings":[[%b]],"prompt_eval_count":1}' % vector.encode(), path="/api/embed"))
        answer = await ask(gateway, "a", dimensions=8)

        assert answer.headers["x-gateway-host"] == "host-1"
        assert len(answer.json()["data"][0]["embedding"]) == 8


async def test_a_caller_who_leaves_stops_the_host(host):
    host.first_token_seconds = 5
    async with running(host) as gateway:
        asking = asyncio.create_task(ask(gateway))
        await eventually(lambda: embeds(host))
        asking.cancel()

        await eventually(lambda: host.cancelled == 1 and gateway.in_flight() == 0)


# --- a batch in parts -------------------------------------------------------------------------------------------------


async def test_hosts_share_a_batch_and_its_order_is_kept(log):
    async with serving(EMBEDDER, EMBEDDER) as (gateway, first, second):
        answer = await ask(gateway)

        assert sorted([*embeds(first), *embeds(second)]) == sorted(TEXTS[at : at + 16] for at in range(0, 64, 16))
        assert all(embeds(each) for each in (first, second))
        tokens = answer.json()["usage"]["prompt_tokens"]
        assert given(answer) == await native(first)

    assert answer.headers["x-gateway-host"] == "host-0, host-1"
    assert answer.headers["x-gateway-route"] == "resident, 0 of 1 in flight, 2 hosts"
    assert [each["index"] for each in answer.json()["data"]] == list(range(64))
    [line] = [line for line in log() if line["event"] == "request"]
    assert (line["host"], line["tried"], line["status"]) == ("host-0, host-1", 4, 200)
    assert line["prompt_tokens"] == tokens == 5 * 64


async def test_base64_of_a_batch_in_parts_is_that_of_the_whole():
    async with serving(EMBEDDER, EMBEDDER) as (gateway, *_):
        in_parts = await ask(gateway, encoding_format="base64")
    async with serving(EMBEDDER) as (gateway, _):
        whole = await ask(gateway, encoding_format="base64")

    assert in_parts.json()["data"] == whole.json()["data"]


async def test_a_small_batch_stays_whole():
    async with serving(EMBEDDER, EMBEDDER) as (gateway, first, second):
        await ask(gateway, TEXTS[:31])

        assert [*embeds(first), *embeds(second)] == [TEXTS[:31]]


async def test_a_host_with_other_weights_takes_no_part():
    async with serving(EMBEDDER, EMBEDDER, RETRAINED) as (gateway, first, second, third):
        answer = await ask(gateway)

        assert given(answer) == await native(first)
        assert embeds(second)
        assert embeds(third) == []


async def test_a_host_that_would_have_to_load_takes_part_in_large_batches_only():
    async with serving(EMBEDDER, EMBEDDER, cold=1) as (gateway, first, second):
        await ask(gateway, TEXTS)
        assert (len(embeds(first)), len(embeds(second))) == (1, 0)

        await ask(gateway, TEXTS * 4)
        assert embeds(second)


@pytest.mark.parametrize("parallel", [1, 4])
async def test_free_slots_of_the_host_that_has_it_loaded_keep_no_part_from_the_others(parallel):
    async with serving(EMBEDDER, EMBEDDER, EMBEDDER, cold=2, parallel=parallel) as (gateway, *hosts):
        for each in hosts:
            each.first_token_seconds = 0.2
        texts = [f"text {number}" for number in range(2048)]
        answer = await ask(gateway, texts)

        assert all(embeds(each) for each in hosts)
        assert sorted(text for each in hosts for part in embeds(each) for text in part) == sorted(texts)
        assert given(answer) == await native(hosts[0], texts)
        assert gateway.in_flight() == 0


async def test_a_fast_host_does_more():
    async with serving(EMBEDDER, EMBEDDER) as (gateway, fast, slow):
        slow.first_token_seconds = 0.5
        await ask(gateway, TEXTS * 2)

        assert len(embeds(fast)) > len(embeds(slow)) > 0


@pytest.mark.parametrize("parallel", [1, 4])
async def test_each_host_gets_one_part_at_a_time(parallel):
    async with serving(EMBEDDER, EMBEDDER, parallel=parallel) as (gateway, first, second):
        first.first_token_seconds = second.first_token_seconds = 0.05
        most = 0

        async def watch() -> None:
            nonlocal most
            while True:
                most = max(most, first.in_flight, second.in_flight)
                await asyncio.sleep(0.005)

        watching = asyncio.create_task(watch())
        await ask(gateway, TEXTS * 2)
        watching.cancel()

    assert most == 1


async def test_of_batches_that_come_together_one_is_shared():
    async with serving(EMBEDDER, EMBEDDER) as (gateway, first, second):
        first.first_token_seconds = second.first_token_seconds = 0.05
        answers = await asyncio.gather(*(ask(gateway) for _ in range(4)))

        assert sum(", " in answer.headers["x-gateway-host"] for answer in answers) == 1
        assert {tuple(given(answer)) for answer in answers} == {tuple(await native(first))}


@pytest.mark.parametrize("fault", [Cut(end="reset"), Fail(), Hang(), out_of_memory()])
async def test_only_the_part_that_failed_is_asked_for_again(fault):
    async with serving(EMBEDDER, EMBEDDER, timeouts=Timeouts(first_byte=0.3)) as (gateway, first, second):
        second.script(replace(fault, path="/api/embed"))
        answer = await ask(gateway)

        [failed, *_] = embeds(second)
        assert sum(map(len, [*embeds(first), *embeds(second)])) == 64 + 16
        assert failed in embeds(first)
        assert given(answer) == await native(first)


async def test_a_host_that_dies_leaves_its_parts_to_the_others():
    async with serving(EMBEDDER, EMBEDDER, EMBEDDER) as (gateway, first, second, third):
        for each in (first, second, third):
            each.first_token_seconds = 0.1
        asking = asyncio.create_task(ask(gateway, TEXTS * 4))
        await eventually(lambda: embeds(second))
        await second.kill()

        assert given(await asking) == await native(first, TEXTS * 4)


async def test_a_part_that_no_host_does_is_the_failure_of_all(log):
    async with serving(EMBEDDER, EMBEDDER) as (gateway, first, second):
        first.first_token_seconds = second.first_token_seconds = 0.2
        for each in (first, second):
            each.script(Fail(path="/api/embed", times=None))
        answer = await ask(gateway)

        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_error")
        await eventually(lambda: gateway.in_flight() == 0 and first.in_flight == second.in_flight == 0)

    [line] = [line for line in log() if line["event"] == "request"]
    assert (line["status"], line["error"]) == (502, "upstream_error")


async def test_a_text_that_is_too_long_fails_the_batch_and_stops_the_rest():
    async with serving(EMBEDDER, EMBEDDER) as (gateway, first, _):
        first.first_token_seconds = 5
        answer = await ask(gateway, [*TEXTS[:40], "word " * 40_000, *TEXTS[:23]])

        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (400, "context_length_exceeded", "input")
        await eventually(lambda: first.cancelled == 1 and gateway.in_flight() == 0)


async def test_a_caller_who_leaves_stops_all_parts():
    async with serving(EMBEDDER, EMBEDDER) as (gateway, first, second):
        first.first_token_seconds = second.first_token_seconds = 5
        asking = asyncio.create_task(ask(gateway))
        await eventually(lambda: embeds(first) and embeds(second))
        asking.cancel()

        await eventually(lambda: first.cancelled == second.cancelled == 1 and gateway.in_flight() == 0)
        assert len(embeds(first)) == len(embeds(second)) == 1


async def test_a_batch_is_shared_again_after_one_failed():
    async with serving(EMBEDDER, EMBEDDER) as (gateway, *_):
        await ask(gateway, [*TEXTS, "word " * 40_000])
        await gateway.seen()
        answer = await ask(gateway)

        assert answer.headers["x-gateway-host"] == "host-0, host-1"


async def test_the_largest_batch_is_asked_for_in_parts_even_of_one_host(host):
    async with running(host) as gateway:
        answer = await ask(gateway, ["word"] * 2048, encoding_format="base64")

        assert [len(each) for each in embeds(host)] == [256] * 8
        assert len(answer.json()["data"]) == answer.json()["usage"]["prompt_tokens"] == 2048


async def test_single_texts_go_to_the_weights_that_most_hosts_have():
    async with serving(RETRAINED, EMBEDDER, EMBEDDER, parallel=9) as (gateway, other, *same):
        same[0].first_token_seconds = same[1].first_token_seconds = 2
        asking = [asyncio.create_task(ask(gateway, f"text {number}")) for number in range(9)]
        await eventually(lambda: sorted(calls for _, _, calls in gateway.gateway.fleet.at_work()) == [4, 5])

        assert {answer.status_code for answer in await asyncio.gather(*asking)} == {200}
        assert embeds(other) == []

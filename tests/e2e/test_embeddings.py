"""Vectors by the SDK: they are the host's own, however they travel and however many hosts make them."""

from __future__ import annotations

import asyncio
from array import array
from base64 import b64decode
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
import pytest_asyncio

from gateway.simulator import SimulatedModel, Simulator
from tests.e2e.calling import Caller, calling
from tests.e2e.embedding import WAYS, embed, embeds, numbers
from tests.gateway.simulator.tiny import tiny_embed, tiny_native
from tests.running import HostSettings, eventually

pytestmark = pytest.mark.asyncio(loop_scope="package")

MODEL = "tiny-embed"
TEXTS = ["hello world", "good bye", "", "café 日本語 🙂", "hello"]
LONG = "hello world " * 100
BATCH = [f"hello world {number:03}" for number in range(200)]


def single(vectors: list[list[float]]) -> list[list[float]]:
    """Return numbers as they are in 32 bits, which is how base64 carries them."""
    return [list(array("f", vector)) for vector in vectors]


def vectors(answer: Any) -> list[Any]:
    return [each.embedding for each in answer.data]


@pytest_asyncio.fixture(scope="module", loop_scope="package", params=["0.24.0", "0.33.0"])
async def served(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Simulator, Caller]]:
    async with Simulator(models=[tiny_embed, tiny_native], version=request.param) as host, calling(host) as caller:
        yield host, caller


@pytest.fixture
def host(served: tuple[Simulator, Caller]) -> Simulator:
    served[0].requests.clear()
    served[0].first_token_seconds = 0.0
    return served[0]


@pytest.fixture
def caller(served: tuple[Simulator, Caller]) -> Caller:
    return served[1]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    way: str = request.param
    return way


# --- the numbers ------------------------------------------------------------------------------------------------------


async def test_the_sdks_default_gives_the_hosts_numbers(host: Simulator, caller: Caller, way: str) -> None:
    answer = await embed(caller, way, model=MODEL, input=TEXTS)

    assert caller.answers[-1].asked["encoding_format"] == "base64"
    assert vectors(answer) == single(await numbers(host, MODEL, TEXTS))
    assert [each.index for each in answer.data] == [0, 1, 2, 3, 4]


async def test_floats_are_the_hosts_to_the_last_digit(host: Simulator, caller: Caller, way: str) -> None:
    answer = await embed(caller, way, model=MODEL, input=TEXTS, encoding_format="float")

    assert vectors(answer) == await numbers(host, MODEL, TEXTS)


async def test_one_text_has_one_vector(host: Simulator, caller: Caller, way: str) -> None:
    answer = await embed(caller, way, model=MODEL, input="hello world")

    assert vectors(answer) == single(await numbers(host, MODEL, ["hello world"]))
    assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (4, 4)
    assert (answer.model_extra or {})["ollama"].keys() == {"total_duration", "load_duration"}


async def test_shorter_vectors_are_cut_by_the_host(host: Simulator, caller: Caller, way: str) -> None:
    answer = await embed(caller, way, model=MODEL, input=TEXTS, dimensions=8, encoding_format="float")

    assert {len(vector) for vector in vectors(answer)} == {8}
    assert vectors(answer) == await numbers(host, MODEL, TEXTS, dimensions=8)


# --- what cannot be done ----------------------------------------------------------------------------------------------


async def test_longer_vectors_than_the_model_has(host: Simulator, caller: Caller, way: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await embed(caller, way, model=MODEL, input="hello", dimensions=33)

    assert (caught.value.param, caught.value.code) == ("dimensions", "invalid_value")
    assert "32 dimensions" in caught.value.message
    assert embeds(host) == []


async def test_a_text_that_is_too_long_is_refused_once(host: Simulator, caller: Caller, way: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await embed(caller, way, model=MODEL, input=["hello", LONG])

    assert (caught.value.param, caught.value.code) == ("input", "context_length_exceeded")
    assert len(embeds(host)) == 1


async def test_a_text_that_is_too_long_is_cut_when_the_caller_says_so(
    host: Simulator, caller: Caller, way: str
) -> None:
    answer = await embed(caller, way, model=MODEL, input=["hello", LONG], extra_body={"truncate": True})

    assert vectors(answer) == single(await numbers(host, MODEL, ["hello", LONG], truncate=True))


async def test_a_model_that_only_writes(host: Simulator, caller: Caller, way: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await embed(caller, way, model="tiny-native", input="hello")

    assert (caught.value.param, caught.value.code) == ("model", "unsupported_value")


async def test_a_caller_who_gives_up_stops_the_host(host: Simulator, caller: Caller) -> None:
    host.first_token_seconds = 5
    stopped = host.cancelled
    with pytest.raises(openai.APITimeoutError):
        await caller.client.with_options(timeout=0.2, max_retries=0).embeddings.create(model=MODEL, input="hello")

    await eventually(lambda: host.cancelled == stopped + 1 and caller.gateway.in_flight() == 0)


# --- many texts and many hosts ----------------------------------------------------------------------------------------


class Retrained(SimulatedModel, frozen=True, kw_only=True):
    """The same model with other weights."""

    @property
    def digest(self) -> str:
        return "f" * 64


RETRAINED = Retrained(name=MODEL, capabilities=("embedding",), context_length=64, embedding_length=32)


class Hosts:
    """Three hosts that have the model in memory, and one that has another of this name; one caller of them all."""

    def __init__(self, alike: list[Simulator], other: Simulator, caller: Caller) -> None:
        self.alike = alike
        self.other = other
        self.caller = caller


@pytest_asyncio.fixture(loop_scope="package", params=["0.24.0", "0.33.0"])
async def hosts(request: pytest.FixtureRequest) -> AsyncIterator[Hosts]:
    first, second, third = (Simulator(models=[tiny_embed], version=request.param) for _ in range(3))
    other = Simulator(models=[RETRAINED], version=request.param)
    async with first, second, third, other:
        for host in (other, first, second, third):
            await numbers(host, MODEL, ["load"])
        settings = [
            HostSettings(url=host.url, name=f"host-{place}") for place, host in enumerate((first, second, third))
        ]
        async with calling(*settings, HostSettings(url=other.url, name="other")) as caller:
            await caller.gateway.seen()
            yield Hosts([first, second, third], other, caller)


@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_hosts_with_the_same_weights_share_a_batch(hosts: Hosts, way: str, encoding: str) -> None:
    answer = await embed(hosts.caller, way, model=MODEL, input=BATCH, encoding_format=encoding)

    first = hosts.alike[0]
    asked = [text for host in hosts.alike for body in embeds(host) for text in body["input"]]
    assert all(embeds(host) for host in hosts.alike)
    assert embeds(hosts.other) == []
    assert sorted(asked) == BATCH
    theirs = await numbers(first, MODEL, BATCH)
    if encoding == "float":
        assert vectors(answer) == theirs
    else:  # who asks for base64 gets it from the SDK as it is
        assert [list(array("f", b64decode(each))) for each in vectors(answer)] == single(theirs)
    assert answer.usage.prompt_tokens == 7 * len(BATCH)  # two words, three digits, a token before and one after


async def test_a_host_that_dies_in_the_middle_of_a_batch(hosts: Hosts, way: str) -> None:
    for host in hosts.alike:
        host.first_token_seconds = 0.1
    asking = asyncio.create_task(embed(hosts.caller, way, model=MODEL, input=BATCH))
    await eventually(lambda: all(embeds(host) for host in hosts.alike))
    await hosts.alike[1].kill()
    answer = await asking

    assert vectors(answer) == single(await numbers(hosts.alike[0], MODEL, BATCH))
    assert len(hosts.caller.answers) == 1  # the SDK did not have to ask again
    assert embeds(hosts.other) == []


async def test_a_caller_who_gives_up_a_batch_stops_all_hosts(hosts: Hosts) -> None:
    for host in hosts.alike:
        host.first_token_seconds = 5
    client = hosts.caller.client.with_options(timeout=0.5, max_retries=0)
    with pytest.raises(openai.APITimeoutError):
        await client.embeddings.create(model=MODEL, input=BATCH)

    await eventually(lambda: [host.cancelled for host in hosts.alike] == [1, 1, 1])
    await eventually(lambda: hosts.caller.gateway.in_flight() == 0)


async def test_a_batch_with_one_text_that_is_too_long(hosts: Hosts, way: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await embed(hosts.caller, way, model=MODEL, input=[*BATCH, LONG])

    assert (caught.value.param, caught.value.code) == ("input", "context_length_exceeded")
    assert len(hosts.caller.answers) == 1

"""Vectors come from one author, so that the answers to two requests can be compared."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gateway.simulator import Simulator
from tests.gateway.simulator.tiny import tiny_embed
from tests.native.trio import EMBED, EMBEDDINGS, HI
from tests.running import running

OTHER = replace(tiny_embed, parameters={"num_thread": 2})
"""A model of the same name with another digest."""


@pytest.mark.parametrize("path", [EMBED, EMBEDDINGS])
async def test_single_texts_go_to_the_weights_that_most_hosts_have(path):
    other, a, b = (Simulator(models=[model]) for model in (OTHER, tiny_embed, tiny_embed))
    async with other, a, b, running(other, a, b) as gateway:
        body = {"model": "tiny-embed", **HI[path]}
        hosts = [(await gateway.client.post(path, json=body)).headers["x-gateway-host"] for _ in range(6)]

    assert set(hosts) == {"host-1", "host-2"}


async def test_a_batch_is_one_request_and_stays_whole():
    async with Simulator(models=[tiny_embed]) as a, Simulator(models=[tiny_embed]) as b, running(a, b) as gateway:
        body = {"model": "tiny-embed", "input": [f"text {number}" for number in range(300)]}
        answer = await gateway.client.post(EMBED, json=body)

    assert len(answer.json()["embeddings"]) == 300
    assert [request.path for host in (a, b) for request in host.requests].count(EMBED) == 1

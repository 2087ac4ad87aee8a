"""Methods that are not asked of a host: what the client sends to ollama.com itself, and what the gateway does not serve."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.conformance.clients.members import WHOLE
from tests.conformance.clients.uses import PYTHON, Way, uses
from tests.native.calling import Caller, outcome
from tests.native.conftest import BOB, Fleet

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.parametrize("way", WHOLE)]

ELSEWHERE = "the client asks ollama.com, and sends it the key that it was given; a gateway is not asked"


@pytest.mark.parametrize(
    ("method", "asked", "answer"),
    [
        pytest.param(method, asked, answer, marks=uses(PYTHON, method, *asked, remark=ELSEWHERE))
        for method, asked, answer in (
            ("web_search", {"query": "ollama", "max_results": 1}, {"results": [{"title": "Ollama"}]}),
            ("web_fetch", {"url": "https://ollama.com"}, {"title": "Ollama", "links": []}),
        )
    ],
)
async def test_the_web_is_asked_of_ollama_itself(way: Way, method: str, asked: Any, answer: Any) -> None:
    requests = []

    def answer_all(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json=answer)

    async with Caller("http://127.0.0.1:1", BOB, transport=httpx.MockTransport(answer_all)) as caller:
        found = await caller.call(way, method, **asked)

    [request] = requests
    assert found.model_dump(exclude_none=True) == answer
    assert str(request.url) == f"https://ollama.com/api/{method}"
    assert request.headers["authorization"] == f"Bearer {BOB}"


QUESTION = {"type": "noul", "instructions": "Is it nice?"}


@uses(PYTHON, "systemone", "model", "state", "questions", "keep_alive", remark="404: `/v1/systemone` is not served")
async def test_system_one_is_not_served(fleet: Fleet, way: Way) -> None:
    status, error = await outcome(
        fleet.bob, way, "systemone", model="demo", state="sunny", questions={"nice": QUESTION}, keep_alive="5m"
    )

    assert status == 404
    assert "/v1/systemone" in str(error)

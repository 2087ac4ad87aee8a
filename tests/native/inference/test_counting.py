"""What a request took is counted and logged."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.native.trio import CHAT, EMBED, EMBEDDINGS, PATHS, TEXT, Trio, lines

Lines = Callable[[], list[dict[str, Any]]]

pytestmark = pytest.mark.asyncio(loop_scope="module")


def requests(log: Lines) -> list[dict[str, Any]]:
    """Return the lines of requests to models that have been logged so far."""
    return [line for line in log() if line["event"] == "request" and line["path"] in PATHS]


async def counted(three: Trio, series: str) -> float:
    """Return the sum over all hosts of what the metrics say."""
    page = (await three.gateway.client.get("/metrics")).text
    return sum(float(line.rpartition(" ")[2]) for line in page.splitlines() if re.match(series, line))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("path", PATHS)
async def test_a_request_is_counted_and_logged(three, path, stream, log):
    model = "tiny-embed" if path in (EMBED, EMBEDDINGS) else "see"
    answered = rf'ollama_gateway_requests_total{{.*model="{model}:latest",route="{path[1:]}",status="200"}}'
    tokens = r"ollama_gateway_tokens_total\b"
    before, read = await counted(three, answered), await counted(three, tokens)
    answer = await three.ask(path, model=model, stream=stream)

    end = lines(answer)[-1]
    counts = end.get("prompt_eval_count", 0), end.get("eval_count", 0)
    assert await counted(three, answered) == before + 1
    assert await counted(three, tokens) == read + sum(counts)
    [line] = requests(log)
    assert (line["path"], line["model"], line["status"]) == (path, f"{model}:latest", 200)
    assert (line.get("prompt_tokens"), line.get("completion_tokens")) == counts
    assert line["finish"] == "stop"
    assert line.get("stream", False) is (stream and path in TEXT)
    assert "hi" not in line.values()


async def test_an_answer_that_met_its_limit_is_logged_as_such(three, log):
    await three.ask(CHAT, model="see", options={"num_predict": 2})

    assert (requests(log)[0]["finish"], requests(log)[0]["completion_tokens"]) == ("length", 2)


async def test_a_refusal_is_logged_without_words_of_the_caller(three, log):
    await three.ask(CHAT, model="nobody")
    await three.ask(CHAT, b"{secret")
    await three.ask(CHAT, model="see", options={"num_ctx": "secret"})

    assert [line["error"] for line in requests(log)] == ["model_not_found", "invalid_value", "invalid_type"]
    assert "secret" not in json.dumps(log())


async def test_names_that_callers_make_up_become_no_series(three, log):
    for name in ("nobody", "somebody:1b-cloud", "a/b/c/d/e"):
        await three.ask(CHAT, model=name)
    page = (await three.gateway.client.get("/metrics")).text

    assert [name for name in ("nobody", "somebody", "a/b/c") if name in page] == []
    assert [line["model"] for line in requests(log)] == ["nobody", "somebody:1b-cloud", "a/b/c/d/e"]

"""What becomes of every field of a request for vectors."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
import pytest_asyncio

from adapters.options import LOAD, RETIRED, SAMPLING
from gateway.simulator import Simulator
from tests.conformance.rows import EMBEDDINGS, shows
from tests.e2e.calling import Caller, calling
from tests.gateway.simulator.tiny import tiny_embed
from tests.interop.installed import TIKTOKEN
from tests.running import eventually

pytestmark = pytest.mark.asyncio(loop_scope="package")

VALUES: dict[str, Any] = {"integer": 128, "number": 0.5, "boolean": False}


@pytest_asyncio.fixture(scope="module", loop_scope="package", params=["0.24.0", "0.33.0"])
async def embedding(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Simulator, Caller]]:
    async with Simulator(models=[tiny_embed], version=request.param) as host, calling(host) as caller:
        yield host, caller


@pytest.fixture
def embedder(embedding: tuple[Simulator, Caller]) -> Simulator:
    host, _ = embedding
    host.requests.clear()
    return host


@pytest.fixture
def client(embedding: tuple[Simulator, Caller]) -> Caller:
    _, caller = embedding
    caller.answers.clear()
    return caller


async def embed(client: Caller, **fields: Any) -> Any:
    create: Any = client.client.embeddings.create
    return await create(**{"model": "tiny-embed", "input": "hello", **fields})


def sent(host: Simulator) -> Any:
    """Return what the host was asked for."""
    [asked] = [request.json for request in host.requests if request.path == "/api/embed"]
    return asked


async def test_what_was_not_said_is_not_sent(embedder: Simulator, client: Caller) -> None:
    await embed(client)

    assert sent(embedder) == {"model": "tiny-embed:latest", "input": ["hello"], "truncate": False}


@pytest.mark.parametrize(
    ("text", "inputs"),
    [
        pytest.param("good bye", ["good bye"], marks=shows(EMBEDDINGS, "honoured", "model", "input")),
        pytest.param(
            ["hello", "", "world"],
            ["hello", "", "world"],
            marks=shows(EMBEDDINGS, "honoured", "input[]", remark="texts"),
        ),
    ],
)
async def test_texts_are_sent_as_they_are(embedder: Simulator, client: Caller, text: Any, inputs: list[str]) -> None:
    answer = await embed(client, input=text)

    assert sent(embedder)["input"] == inputs
    assert [each.index for each in answer.data] == list(range(len(inputs)))
    assert answer.model == "tiny-embed"


TOKENS = "tokens of `cl100k_base`"


@pytest.mark.parametrize(
    ("tokens", "inputs"),
    [
        pytest.param([15339, 1917], ["hello world"], marks=shows(EMBEDDINGS, "emulated", "input[]", remark=TOKENS)),
        pytest.param(
            [[15339, 1917], [15339]],
            ["hello world", "hello"],
            marks=shows(EMBEDDINGS, "emulated", "input[][]", remark=TOKENS),
        ),
    ],
)
async def test_tokens_are_sent_as_their_text(
    embedder: Simulator, client: Caller, monkeypatch: pytest.MonkeyPatch, tokens: Any, inputs: list[str]
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(TIKTOKEN))
    await embed(client, input=tokens)

    assert sent(embedder)["input"] == inputs


@shows(EMBEDDINGS, "refused", "input[]", remark="tokens, where tiktoken's table is not installed")
async def test_tokens_that_cannot_be_read_are_refused(
    embedder: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    async with calling(embedder) as without_table:
        with pytest.raises(openai.BadRequestError) as caught:
            await embed(without_table, input=[15339, 1917])

    assert caught.value.param == "input"


@pytest.mark.parametrize(
    "encoding",
    [
        pytest.param("float", marks=shows(EMBEDDINGS, "honoured", "encoding_format: float")),
        pytest.param("base64", marks=shows(EMBEDDINGS, "emulated", "encoding_format: base64")),
    ],
)
async def test_vectors_come_as_they_are_wanted(client: Caller, encoding: str) -> None:
    usual = await embed(client)
    await embed(client, encoding_format=encoding)

    [vector] = [each["embedding"] for each in client.answers[1].data[0]["data"]]
    if encoding == "base64":
        assert len(base64.b64decode(vector)) == 4 * tiny_embed.embedding_length
    else:
        assert vector == pytest.approx(usual.data[0].embedding)


@shows(EMBEDDINGS, "honoured", "dimensions")
async def test_the_host_is_asked_for_shorter_vectors(embedder: Simulator, client: Caller) -> None:
    answer = await embed(client, dimensions=8)

    assert sent(embedder)["dimensions"] == 8
    assert len(answer.data[0].embedding) == 8


@shows(EMBEDDINGS, "honoured", "user", remark="goes to the log")
async def test_who_asks_stands_in_the_log(client: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[Any] = []
    monkeypatch.setattr("gateway.log._write", lines.append)
    await embed(client, user="ada")

    await eventually(lambda: lines)
    assert lines[0].user == "ada"


SENT: dict[str, Any] = {"options": {"num_ctx": 32}, "keep_alive": "10m", "truncate": True}


@pytest.mark.parametrize(
    ("field", "value"),
    [pytest.param(field, value, marks=shows(EMBEDDINGS, "honoured", field)) for field, value in SENT.items()],
)
async def test_an_extension_reaches_the_host_as_it_was_said(
    embedder: Simulator, client: Caller, field: str, value: Any
) -> None:
    await embed(client, extra_body={field: value})

    assert sent(embedder)[field] == value


@shows(EMBEDDINGS, "honoured", "ollama")
async def test_extensions_may_stand_within_ollama(embedder: Simulator, client: Caller) -> None:
    await embed(client, extra_body={"ollama": {**SENT, "num_thread": 2}})

    assert sent(embedder).items() >= {**SENT, "options": {"num_ctx": 32, "num_thread": 2}}.items()


@pytest.mark.parametrize(
    ("option", "value"),
    [pytest.param(name, VALUES[kind], marks=shows(EMBEDDINGS, "honoured", name)) for name, kind in LOAD.items()],
)
async def test_an_option_of_the_load_may_stand_at_top_level(
    embedder: Simulator, client: Caller, option: str, value: Any
) -> None:
    await embed(client, extra_body={option: value})

    assert sent(embedder)["options"] == {option: value}


WITHOUT_EFFECT: dict[str, Any] = {
    "think": True,
    "format": "json",
    "shift": False,
    "_debug_render_only": True,
    **{name: VALUES[kind] for name, kind in SAMPLING.items()},
    **dict.fromkeys(sorted(RETIRED), 1),
}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param(field, value, marks=shows(EMBEDDINGS, "accepted without effect", field))
        for field, value in WITHOUT_EFFECT.items()
    ],
)
async def test_what_says_how_text_is_made_is_not_sent(
    embedder: Simulator, client: Caller, field: str, value: Any
) -> None:
    await embed(client, extra_body={field: value})

    assert sent(embedder) == {"model": "tiny-embed:latest", "input": ["hello"], "truncate": False}


@shows(EMBEDDINGS, "accepted without effect", "options.stop")
async def test_stop_texts_are_not_sent(embedder: Simulator, client: Caller) -> None:
    await embed(client, extra_body={"options": {"stop": ["x"]}})

    assert "options" not in sent(embedder)

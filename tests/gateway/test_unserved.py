"""Addresses at which nothing is served."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import openai
import pytest

from gateway.api.unserved import _REASONS, unserved
from gateway.simulator import Simulator
from tests.running import running

LATER = "It is not served yet; use /v1/chat/completions."
NATIVE = "Ollama's own API begins at /api: leave /v1 out of the address that this client is given."
SPELLING = "Check its spelling. Served are /v1/chat/completions, /v1/completions, /v1/embeddings, /v1/models."
BASE = "The base URL must end in /v1."
TWICE = "It has /v1 twice: this client adds /v1 itself, so leave it out of the base URL."

SAID = [
    ("/v1/responses", LATER),
    ("/v1/responses/resp_1/input_items", LATER),
    ("/v1/messages", LATER),
    ("/v1/messages/count_tokens", LATER),
    ("/v1/images/generations", "No images or films are made here"),
    ("/v1/audio/speech", "No speech is made here."),
    ("/v1/audio/transcriptions", "as an `input_audio` part"),
    ("/v1/audio/translations", "as an `input_audio` part"),
    ("/v1/moderations", "ask a guard model"),
    ("/v1/files", "No files are kept here"),
    ("/v1/files/file-1/content", "No files are kept here"),
    ("/v1/batches", "one by one"),
    ("/v1/assistants", "No conversations are kept here"),
    ("/v1/threads/t/runs", "No conversations are kept here"),
    ("/v1/vector_stores/x/search", "/v1/embeddings makes them"),
    ("/v1/fine_tuning/jobs", "`ollama create`"),
    ("/v1/realtime", "answers as a stream"),
    ("/v1/chat/completions/chatcmpl-1", "`store` has no effect"),
    ("/api", NATIVE),
    ("/v1/api/tags", NATIVE),
    ("/chat/completions", BASE),
    ("/models", BASE),
    ("/models/llama3.2", BASE),
    ("/embeddings", BASE),
    ("/responses", BASE),
    ("/v1/v1/chat/completions", TWICE),
    ("/v1/v1/models", TWICE),
    ("/v1/chat/completions/", "Leave out the slash at its end."),
    ("/v1/embeddings/", "Leave out the slash at its end."),
    ("/", SPELLING),
    ("/v1", SPELLING),
    ("/v1/", SPELLING),
    ("/v1/chat/completion", SPELLING),
    ("/v1/filesystem", SPELLING),
    ("/apis", SPELLING),
    ("/.env", SPELLING),
    ("/chat/completions2", SPELLING),
]


@pytest.mark.parametrize(("path", "said"), SAID)
def test_what_is_said_of_an_address(path, said):
    assert said in unserved(path)


def test_the_table_of_the_documents_is_the_whole_of_it():
    text = (Path(__file__).parents[2] / "docs" / "not-served.md").read_text()
    rows = re.findall(r"^\| (`.*`) \| (.*) \|$", text, re.MULTILINE)

    assert {why: " ".join(re.findall(r"`([^`]+)`", names)) for names, why in rows} == _REASONS


def test_every_resource_of_openais_sdk_has_a_reason():
    folder = Path(openai.__file__).parent / "resources"
    sources = "".join(file.read_text() for file in folder.rglob("*.py"))
    names = set(re.findall(r'"/([a-z_]+)[/"]', sources)) - {"chat", "completions", "embeddings", "models"}

    assert {"responses", "images", "realtime", "files"} <= names
    assert {name for name in names if unserved(f"/v1/{name}") == SPELLING} == set()


@pytest.fixture
async def host():
    async with Simulator() as host:
        yield host


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT"])
async def test_it_is_said_in_openais_shape(host, method):
    async with running(host) as gateway:
        answer = await gateway.client.request(method, "/v1/responses", json={"model": "demo", "input": "hi"})

    assert answer.status_code == 404
    assert (answer.headers["content-type"], answer.headers["x-should-retry"]) == ("application/json", "false")
    assert answer.json() == {
        "error": {
            "message": f"Unknown request URL: {method} /v1/responses. {LATER}",
            "type": "invalid_request_error",
            "param": None,
            "code": "unknown_url",
        }
    }


async def test_sdks_are_told_as_well(host):
    async with (
        running(host) as gateway,
        openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="x") as client,
        openai.AsyncOpenAI(base_url=gateway.url, api_key="x") as without,
        openai.AsyncOpenAI(base_url=f"{gateway.url}/v1/v1", api_key="x") as twice,
    ):
        calls = [
            (client.responses.create(model="demo", input="hi"), LATER),
            (client.images.generate(prompt="a cat"), "No images"),
            (client.moderations.create(input="hi"), "ask a guard model"),
            (client.audio.speech.create(model="tts", voice="alloy", input="hi"), "No speech"),
            (without.models.retrieve("demo"), BASE),
            (twice.models.retrieve("demo"), TWICE),
        ]
        for call, said in calls:
            with pytest.raises(openai.NotFoundError, match=re.escape(said)) as caught:
                await call
            assert caught.value.code == "unknown_url"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/chat/completions", {"POST"}),
        ("POST", "/v1/models", {"GET", "HEAD"}),
        ("PUT", "/v1/models/demo", {"GET", "HEAD"}),
        ("OPTIONS", "/v1/models", {"GET", "HEAD"}),
    ],
)
async def test_another_method_at_an_address_that_is_served_is_another_mistake(host, method, path, allowed):
    async with running(host) as gateway:
        answer = await gateway.client.request(method, path)

    assert answer.status_code == 405
    assert answer.json()["error"]["code"] == "method_not_allowed"
    assert set(answer.headers["allow"].split(", ")) == allowed


async def test_nothing_is_read_of_what_is_sent_to_it(host):
    async with running(host) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"POST /v1/files HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        (length,) = re.findall(rb"content-length: (\d+)", head)
        body = json.loads(await reader.readexactly(int(length)))
        writer.close()
        await writer.wait_closed()

    assert head.startswith(b"HTTP/1.1 404 ")
    assert "No files are kept here" in body["error"]["message"]

"""Keys before the whole gateway."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from gateway.config import KeySettings
from gateway.log import set_up
from gateway.simulator import Simulator
from tests.running import chats, running

SECRET = "sk-alice-0123456789"
KEYS = (
    KeySettings(name="alice", secret=SECRET),
    KeySettings(name="bob", sha256=hashlib.sha256(b"sk-bob-0123456789").hexdigest()),
)


@pytest.fixture
async def host():
    async with Simulator() as host:
        yield host


@pytest.mark.parametrize(
    "headers", [{"authorization": f"Bearer {SECRET}"}, {"x-api-key": SECRET}, {"x-api-key": "sk-bob-0123456789"}]
)
async def test_a_key_opens_the_door_and_stays_outside(host, headers):
    async with running(host, keys=KEYS) as gateway:
        gateway.client.headers.update(headers)
        answer = await gateway.chat()

    assert answer.status_code == 200
    (chat,) = [request for request in host.requests if request.path == "/api/chat"]
    assert not {name.lower() for name, _ in chat.headers} & {"authorization", "x-api-key"}


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("GET", "/v1/models/demo"), ("GET", "/metrics")],
)
@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Bearer wrong"}, {"x-api-key": ""}], ids=["none", "wrong", "empty"]
)
async def test_without_a_known_key_the_door_is_shut(host, method, path, headers):
    async with running(host, keys=KEYS) as gateway:
        answer = await gateway.client.request(method, path, headers=headers)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["x-should-retry"] == "false"
    assert answer.json()["error"]["code"] == "invalid_api_key"
    assert chats(host) == []


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_needs_no_key(host, path):
    async with running(host, keys=KEYS) as gateway:
        assert (await gateway.client.get(path)).status_code == 200


async def test_a_stranger_is_refused_before_its_body_is_read(host):
    async with running(host, keys=KEYS) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()

    assert head.startswith(b"HTTP/1.1 401 ")


async def test_keys_are_never_logged(host, tmp_path, monkeypatch):
    monkeypatch.setattr("gateway.log._write", None)
    log = (tmp_path / "log").open("wb")
    set_up("json", log)
    async with running(host, keys=KEYS) as gateway:
        for key in (SECRET, "sk-wrong-0123456789"):
            await gateway.client.get(f"/v1/models?key={key}", headers={"authorization": f"Bearer {key}"})
            await gateway.client.get("/v1/models", headers={"x-api-key": key})
    log.close()

    written = (tmp_path / "log").read_text()
    assert '"caller":"alice"' in written
    assert "0123456789" not in written


ADMIN = "sk-admin-0123456789"
SCOPED = (*KEYS, KeySettings(name="root", secret=ADMIN, scopes=("admin",)))
DIGEST = f"sha256:{hashlib.sha256(b'x').hexdigest()}"

MANAGEMENT = [
    ("POST", "/api/pull"), ("POST", "/api/push"), ("POST", "/api/create"), ("POST", "/api/copy"), ("DELETE", "/api/delete"),
    ("HEAD", f"/api/blobs/{DIGEST}"), ("POST", f"/api/blobs/{DIGEST}"), ("DELETE", "/v1/models/demo"),
    ("POST", "/api/me"), ("POST", "/api/signout"), ("GET", "/api/experimental/aliases"), ("GET", "/api/newer"),
]  # fmt: skip
"""What changes models, and what only hosts know of: nothing of it is for everyone."""

EVERYONES = [
    ("GET", "/v1/models"), ("GET", "/api/tags"), ("GET", "/api/ps"), ("GET", "/api/version"), ("GET", "/metrics"),
]  # fmt: skip


async def test_a_key_that_may_not_manage_is_told_what_it_needs_and_no_host_is_asked(host):
    async with running(host, keys=SCOPED) as gateway:
        before = len(host.requests)
        answers = [
            await gateway.client.request(method, path, headers={"x-api-key": SECRET}) for method, path in MANAGEMENT
        ]

        asked = {request.path for request in host.requests[before:]}
    assert [answer.status_code for answer in answers] == [403] * len(MANAGEMENT)
    for answer in answers:
        told = "The key 'alice' lacks the scope `admin`, which this address needs."
        assert answer.request.method == "HEAD" or told in answer.text
    assert asked <= {"/api/version", "/api/tags", "/api/ps"}  # the gateway's own looks


@pytest.mark.parametrize("settings", [{"keys": SCOPED}, {}, {"auth": "none"}], ids=["an admin", "without keys", "open"])
async def test_whoever_may_manage_gets_through(host, settings):
    async with running(host, **settings) as gateway:
        answers = {place: await gateway.client.request(*place, headers={"x-api-key": ADMIN}) for place in MANAGEMENT}

    # A host's own refusal, of one who is not signed in to Ollama's cloud, does not ask for a key.
    refused = {place for place, one in answers.items() if one.status_code == 403 or "www-authenticate" in one.headers}
    assert refused == set()


async def test_where_everyone_may_everything_a_page_of_a_stranger_may_still_not_manage(host):
    """A browser sends such requests unasked, as long as their body is plain text."""
    async with running(host, auth="none") as gateway:
        before = len(host.requests)
        headers = {"origin": "https://evil.example", "content-type": "text/plain"}
        answers = [await gateway.client.request(*place, headers=headers) for place in MANAGEMENT]
        asking = [await gateway.client.request(*place, headers=headers) for place in EVERYONES]

        asked = {request.path for request in host.requests[before:]}
    assert [answer.status_code for answer in answers] == [403] * len(MANAGEMENT)
    assert [answer.status_code for answer in asking] == [200] * len(EVERYONES)
    assert asked <= {"/api/version", "/api/tags", "/api/ps"}  # the gateway's own looks


@pytest.mark.parametrize("key", [SECRET, ADMIN])
async def test_asking_needs_no_scope(host, key):
    async with running(host, keys=SCOPED) as gateway:
        answers = [await gateway.client.request(*place, headers={"x-api-key": key}) for place in EVERYONES]

    assert [answer.status_code for answer in answers] == [200] * len(EVERYONES)

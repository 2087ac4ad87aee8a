"""Work of minutes that ends before it is done: its caller leaves, is slow, or the gateway stops. And who may begin it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gateway.config import KeySettings
from gateway.simulator import Simulator
from gateway.simulator.faults import Reply
from tests.native.managing import fleet, have, manage
from tests.running import Running, eventually

PULL = "/api/pull"
ENDLESS = {"pull_seconds": 1000.0}


async def begin(gateway: Running, **body: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Ask for a pull over a connection of its own, and return it when the first line has come."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port, limit=2**26)
    data = json.dumps({"model": "tiny-chat", **body}).encode()
    writer.write(f"POST {PULL} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(data)}\r\n\r\n".encode() + data)
    if body.get("stream", True):
        await reader.readuntil(b'{"status":"pulling manifest"}\n')
    return reader, writer


@pytest.mark.parametrize("stream", [True, False])
async def test_a_caller_who_leaves_stops_all_hosts(stream):
    async with fleet(**ENDLESS) as (gateway, hosts):
        _, writer = await begin(gateway, stream=stream)
        await eventually(lambda: all(host.downloading for host in hosts))
        writer.close()
        await eventually(lambda: not any(host.downloading for host in hosts))
        await eventually(lambda: None not in [how for host in hosts for how in ended(host)])

    assert [ended(host) for host in hosts] == [["cancelled"]] * 3


async def test_a_caller_who_leaves_stops_only_its_own_pull():
    async with fleet(**ENDLESS) as (gateway, hosts):
        _, leaving = await begin(gateway)
        _, staying = await begin(gateway)
        await eventually(lambda: all(ended(host) == [None, None] and host.downloading for host in hosts))
        leaving.close()
        await eventually(lambda: all(sorted(map(str, ended(host))) == ["None", "cancelled"] for host in hosts))
        shared = [len(host.downloading) for host in hosts]
        staying.close()
        await eventually(lambda: not any(host.downloading for host in hosts))

    assert shared == [1, 1, 1]


def ended(host: Simulator) -> list[str | None]:
    """Return how the pulls of a host ended; None for one that has not."""
    return [request.ended for request in host.requests if request.path == PULL]


async def test_two_callers_of_one_model_both_get_it():
    async with fleet(pull_seconds=0.1) as (gateway, hosts):
        answers = await asyncio.gather(*(manage(gateway, PULL, model="tiny-chat") for _ in range(2)))

    assert [answer.text.splitlines()[-1] for answer in answers] == ['{"status":"success"}'] * 2
    assert have(hosts, "tiny-chat") == [True] * 3


async def test_a_caller_who_leaves_before_it_began_stops_it_too():
    async with fleet(2, **ENDLESS) as (gateway, hosts):
        _, writer = await begin(gateway, stream=False)
        writer.close()
        await eventually(lambda: not gateway.server.server_state.tasks)

        assert not any(host.downloading for host in hosts)
        assert gateway.gateway._running == set()


@pytest.mark.parametrize("stream", [True, False])
async def test_a_gateway_that_stops_tells_the_caller_and_stops_the_hosts(stream):
    async with fleet(settings={"grace": 0.1}, **ENDLESS) as (gateway, hosts):
        reader, writer = await begin(gateway, stream=stream)
        await eventually(lambda: all(host.downloading for host in hosts))
        gateway.server.should_exit = True
        told = await reader.read()
        await eventually(lambda: not any(host.downloading for host in hosts))
        writer.close()

    line = b'{"error":"The gateway is shutting down."}'
    if stream:
        assert told.endswith(line + b"\n\r\n0\r\n\r\n")
    else:
        assert told.startswith(b"HTTP/1.1 503 ")
        assert told.endswith(line)


async def test_a_caller_who_reads_slowly_makes_the_hosts_wait():
    line = b'{"status":"%s"}\n' % (b"x" * 1000)
    async with fleet(1) as (gateway, hosts):
        hosts[0].script(Reply(body=b'{"status":"pulling manifest"}\n' + 40_000 * line, path=PULL))
        reader, writer = await begin(gateway)
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(0.5)
        waiting = ended(hosts[0])
        reader._transport.resume_reading()  # type: ignore[attr-defined]
        rest = await reader.readuntil(b"\r\n0\r\n\r\n")
        writer.close()

    assert waiting == [None]
    assert rest.count(line) == 40_000
    assert b'{"error":"The host ended its answer without saying that it is done."}\n' in rest


# --- who may ----------------------------------------------------------------------------------------------------------

KEYS = (
    KeySettings(name="alice", secret="sk-alice-0123456789", scopes=("admin",)),
    KeySettings(name="bob", secret="sk-bob-0123456789"),
)
CALLS = [
    ("POST", PULL, {"model": "tiny-chat"}),
    ("POST", "/api/push", {"model": "demo"}),
    ("POST", "/api/create", {"model": "mine", "from": "demo"}),
    ("POST", "/api/copy", {"source": "demo", "destination": "mine"}),
    ("DELETE", "/api/delete", {"model": "demo"}),
]


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
async def test_models_are_managed_by_those_who_may(method, path, body):
    async with fleet(2, settings={"keys": KEYS}) as (gateway, hosts):
        for host in hosts:
            host.requests.clear()
        answers = [
            await gateway.client.request(method, path, json=body, headers={"authorization": f"Bearer {secret}"})
            for secret in ("sk-mallory-0123456789", "sk-bob-0123456789")
        ]
        unasked = [request.path for host in hosts for request in host.requests if request.path == path]
        allowed = await gateway.client.request(method, path, json=body, headers={"x-api-key": "sk-alice-0123456789"})

    assert [answer.status_code for answer in answers] == [401, 403]
    assert [list(answer.json()) for answer in answers] == [["error"], ["error"]]
    assert "scopes: [admin]" in answers[1].json()["error"]
    assert answers[0].headers["www-authenticate"] == "Bearer"
    assert unasked == []
    assert allowed.status_code == 200


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
async def test_by_another_method_there_is_nothing(method, path, body):
    async with fleet(1) as (gateway, _):
        answer = await gateway.client.request("PUT", path, json=body)

    assert (answer.status_code, answer.content) == (405, b"405 method not allowed")
    assert answer.headers["allow"] == method


async def test_pages_of_others_may_not_manage_a_gateway_that_serves_this_machine():
    async with fleet(1) as (gateway, hosts):
        answer = await gateway.client.request(
            "DELETE", "/api/delete", json={"model": "demo"}, headers={"origin": "https://evil.example"}
        )

    assert answer.status_code == 403
    assert have(hosts, "demo") == [True]


async def test_names_that_look_like_paths_stay_names():
    async with fleet(1) as (gateway, hosts):
        answers = [
            await manage(gateway, "/api/delete", model=name)
            for name in ("../../etc/passwd", "http://x/..", "a%2fb", "..")
        ]

    assert [answer.status_code for answer in answers] == [400] * len(answers)
    assert [model.name for model in hosts[0].models.values()] == ["demo:latest"]

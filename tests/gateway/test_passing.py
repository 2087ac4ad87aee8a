"""What only a host knows: passed on to one of them as it is, and the answer as it comes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator

import httpx2
import pytest

from gateway.config import KeySettings
from gateway.hop import HopResponse
from gateway.simulator import SimulatedRequest, Simulator
from gateway.simulator.faults import End, Hang, Raw, Reply
from tests.adapters.ollama.recorded import recording
from tests.running import eventually, running

NEW = "/api/experimental/new"


@pytest.fixture
async def hosts():
    async with Simulator() as one, Simulator() as two:
        yield [one, two]


def passed(host: Simulator, path: str = NEW) -> list[SimulatedRequest]:
    return [request for request in host.requests if request.path == path]


ASKED = [
    ("POST", "/api/me", b""),
    ("POST", "/api/signout", b""),
    ("DELETE", "/api/user/keys/c2ltdWxhdGVk", b""),
    ("POST", "/api/experimental/web_search", b'{"query":"x"}'),
    ("POST", "/api/experimental/web_fetch", b'{"url":"http://x/"}'),
    ("POST", "/api/experimental/web_fetch", b""),
    ("GET", "/api/experimental/model-recommendations", b""),
    ("GET", "/api/nope", b""),
    ("HEAD", "/api/nope", b""),
    ("PUT", "/api/nope", b"x"),
    ("PATCH", "/api/nope", b"x"),
    ("OPTIONS", "/api/nope", b""),
    ("GET", "/api/", b""),
    ("GET", "/api/nope/", b""),
]


@pytest.mark.parametrize(("method", "path", "body"), ASKED)
async def test_the_answer_is_the_hosts_own(hosts, method, path, body):
    async with httpx2.AsyncClient(base_url=hosts[0].url, trust_env=False) as client:
        expected = await client.request(method, path, content=body)
    hosts[0].requests.clear()
    async with running(*hosts) as gateway:
        answer = await gateway.client.request(method, path, content=body)

    assert (answer.status_code, answer.content) == (expected.status_code, expected.content)
    for name in ("content-type", "content-length"):
        assert answer.headers.get(name) == expected.headers.get(name)
    assert answer.headers["x-gateway-host"] == "host-0"
    [request] = passed(hosts[0], path)
    assert (request.method, request.body) == (method, body)
    assert passed(hosts[1], path) == []


@pytest.mark.parametrize("name", ["misc-web-search", "misc-model-recommendations", "misc-unknown-path"])
async def test_recorded_answers_come_through(hosts, name):
    recorded = recording(f"0.33/{name}")
    request = recorded.request
    async with running(*hosts) as gateway:
        answer = await gateway.client.request(request["method"], request["path"], json=request.get("body"))

    assert (answer.status_code, answer.content) == (recorded.status, recorded.body)


async def test_the_host_sees_what_is_asked_and_not_who_asks(hosts):
    key = "sk-alice-0123456789"
    async with running(hosts[0], keys=(KeySettings(name="alice", secret=key, scopes=("admin",)),)) as gateway:
        headers = {
            "authorization": f"Bearer {key}",
            "x-api-key": key,
            "cookie": f"key={key}",
            "origin": "http://evil.example",
            "host": "evil.example",
            "referer": "http://evil.example/",
            "x-forwarded-for": "203.0.113.1",
            "x-gateway-hosts": "host-0",
            "content-type": "text/x-odd",
            "accept": "text/x-odder",
        }
        await gateway.client.post(f"{NEW}?q=a%20b&q=%2F..", content=b"\x00\xff", headers=headers)

    [request] = passed(hosts[0])
    assert request.target == f"{NEW}?q=a%20b&q=%2F.."
    assert request.body == b"\x00\xff"
    assert {name.lower(): value for name, value in request.headers} == {
        "host": hosts[0].url.removeprefix("http://"),
        "content-type": "text/x-odd",
        "accept": "text/x-odder",
        "content-length": "2",
    }


async def test_the_caller_sees_what_is_answered_and_not_what_the_host_says_beside(hosts):
    said = (("Set-Cookie", "a=b"), ("Server", "secret"), ("X-Gateway-Host", "evil"), ("Allow", "GET"))
    async with running(hosts[0]) as gateway:
        hosts[0].script(Reply(status=418, body=b"\x00", content_type="text/x-odd", headers=said, path=NEW))
        answer = await gateway.client.get(NEW)

    assert (answer.status_code, answer.content) == (418, b"\x00")
    assert {name: value for name, value in answer.headers.items() if name not in ("date", "x-request-id")} == {
        "content-type": "text/x-odd",
        "content-length": "1",
        "allow": "GET",
        "x-gateway-host": "host-0",
        "x-gateway-route": "any, 1 host",
    }


@pytest.mark.parametrize(
    ("location", "expected"),
    [("/api/new", "/api/new"), ("http://gpu-1:11434/api/new", None), ("//evil/api/new", None), ("/v1/x", None)],
)
async def test_it_may_be_sent_on_within_the_api_only(hosts, location, expected):
    async with running(hosts[0]) as gateway:
        hosts[0].script(Reply(status=307, headers=(("Location", location),), path=NEW))
        answer = await gateway.client.get(NEW)

    assert answer.status_code == 307
    assert answer.headers.get("location") == expected


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_that_has_no_body_may_tell_a_length_all_the_same(hosts, status, log):
    async with running(hosts[0]) as gateway:
        hosts[0].script(Raw(b"HTTP/1.1 %d Odd\r\ncontent-length: 5\r\n\r\n" % status, path=NEW))
        answer = await gateway.client.post(NEW)

    assert (answer.status_code, answer.content) == (status, b"")
    assert "content-length" not in answer.headers
    [line] = requests_of(log)
    assert "error" not in line


async def test_one_host_may_be_named(hosts):
    async with running(*hosts) as gateway:
        answer = await gateway.client.get(NEW, headers={"x-gateway-hosts": "host-1"})

    assert answer.headers["x-gateway-host"] == "host-1"
    assert [len(passed(host)) for host in hosts] == [0, 1]


@pytest.mark.parametrize(
    ("wish", "reason"), [("all", "one host"), ("host-0,host-1", "one host"), ("host-2", "no host"), (",", "must say")]
)
async def test_hosts_that_cannot_be_meant(hosts, wish, reason):
    async with running(*hosts) as gateway:
        answer = await gateway.client.get(NEW, headers={"x-gateway-hosts": wish})

    assert answer.status_code == 400
    assert reason in answer.json()["error"]
    assert [passed(host) for host in hosts] == [[], []]


@pytest.mark.parametrize("noticed", [True, False], ids=["known to be", "found to be"])
async def test_a_host_that_is_down_is_not_asked(hosts, noticed):
    async with running(*hosts, probe_interval=600) as gateway:
        await hosts[0].kill()
        if noticed:
            await gateway.seen()
        answer = await gateway.client.get(NEW)
        named = await gateway.client.get(NEW, headers={"x-gateway-hosts": "host-0"})

    assert (answer.status_code, answer.headers["x-gateway-host"]) == (404, "host-1")
    assert named.status_code in (502, 503)
    assert len(passed(hosts[1])) == 1


async def test_the_simulated_host_answers_for_nobody():
    demo = Simulator()
    async with running(demo=demo) as gateway:
        answer = await gateway.client.get(NEW)

    assert answer.status_code == 503
    assert passed(demo) == []


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Raw(b"hello", path=NEW), 502),
        (Raw(b"", end="reset", path=NEW), 502),
        (Raw(b"", path=NEW), 502),
        (Raw(b"HTTP/1.1 600 Odd\r\ncontent-length: 0\r\n\r\n", path=NEW), 502),
    ],
)
async def test_a_host_that_gives_no_answer(hosts, fault, status):
    async with running(hosts[0]) as gateway:
        hosts[0].script(fault)
        answer = await gateway.client.get(NEW)

    assert answer.status_code == status
    assert set(answer.json()) == {"error"}


class Streaming(Simulator):
    """A host that answers line by line, when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: asyncio.Queue[bytes] = asyncio.Queue()

    async def answer(self, request: SimulatedRequest, *, keep_alive: bool) -> AsyncGenerator[bytes | End, None]:
        if request.path != NEW:
            async for step in super().answer(request, keep_alive=keep_alive):
                yield step
            return
        self.requests.append(request)
        yield b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n"
        while line := await self.lines.get():
            if line == b"cut":
                yield "reset"
                return
            yield b"%x\r\n%b\r\n" % (len(line), line)
        yield b"0\r\n\r\n"
        yield "keep"


async def test_a_stream_comes_line_by_line():
    async with Streaming() as host, running(host) as gateway, gateway.client.stream("POST", NEW) as answer:
        assert answer.headers["content-type"] == "application/x-ndjson"
        pieces = answer.aiter_raw()
        for line in (b'{"a":1}\n', b'{"b":2}\n'):
            host.lines.put_nowait(line)
            assert await anext(pieces) == line
        host.lines.put_nowait(b"")
        assert [piece async for piece in pieces] == []


def requests_of(log):
    """Return the log's lines about requests; nothing may have been logged with a traceback."""
    lines = log()
    assert [line for line in lines if "traceback" in line] == []
    return [line for line in lines if line["event"] == "request"]


async def test_a_stream_that_is_cut_is_not_taken_for_a_whole_one_and_is_no_defect(log):
    async with Streaming() as host, running(host) as gateway:
        for line in (b"{}\n", b"cut"):
            host.lines.put_nowait(line)
        with pytest.raises(httpx2.RemoteProtocolError):
            await gateway.client.post(NEW)

    [line] = requests_of(log)
    assert (line["path"], line["host"], line["status"], line["error"]) == (NEW, "host-0", 200, "upstream_error")
    assert "the connection to the host was cut" in line["reason"].lower()


async def test_an_answer_of_a_known_length_that_is_cut_is_not_taken_for_a_whole_one(hosts, log):
    async with running(hosts[0]) as gateway:
        hosts[0].script(Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nsome", path=NEW))
        with pytest.raises(httpx2.RemoteProtocolError):
            await gateway.client.post(NEW)

    [line] = requests_of(log)
    assert (line["status"], line["error"]) == (200, "upstream_error")


async def test_a_stream_is_cut_when_the_gateway_stops(log):
    async with Streaming() as host, running(host) as gateway:
        async with gateway.client.stream("POST", NEW) as answer:
            host.lines.put_nowait(b"{}\n")
            pieces = answer.aiter_raw()
            await anext(pieces)
            gateway.gateway.end_all()
            with pytest.raises(httpx2.RemoteProtocolError):
                await anext(pieces)
        await eventually(lambda: [request.ended for request in passed(host)] == ["cancelled"])

    [line] = requests_of(log)
    assert (line["status"], line["error"]) == (200, "shutting_down")


async def test_a_defect_in_the_middle_of_an_answer_is_logged_once_and_cuts_it(hosts, log, monkeypatch):
    async def fail(response):
        raise RuntimeError("a defect")

    async with running(hosts[0]) as gateway:
        monkeypatch.setattr(HopResponse, "read", fail)
        with pytest.raises(httpx2.RemoteProtocolError):
            await gateway.client.post(NEW)

    [defect] = [line for line in log() if "traceback" in line]
    assert defect["event"] == "defect"
    assert [line["error"] for line in log() if line["event"] == "request"] == ["internal_error"]


async def test_a_caller_who_leaves_takes_the_host_with_it():
    async with Streaming() as host, running(host) as gateway:
        async with gateway.client.stream("POST", NEW) as answer:
            host.lines.put_nowait(b"{}\n")
            await anext(answer.aiter_raw())
        await eventually(lambda: [request.ended for request in passed(host)] == ["cancelled"])


async def test_a_caller_who_leaves_before_the_answer_takes_the_host_with_it(hosts):
    async with running(hosts[0]) as gateway:
        hosts[0].script(Hang(path=NEW))
        asking = asyncio.create_task(gateway.client.get(NEW))
        await eventually(lambda: passed(hosts[0]))
        asking.cancel()
        await eventually(lambda: [request.ended for request in passed(hosts[0])] == ["cancelled"])


async def test_the_body_is_bounded(hosts):
    async with running(hosts[0], max_body=1000) as gateway:
        assert (await gateway.client.post(NEW, content=bytes(1000))).status_code == 404
        answer = await gateway.client.post(NEW, content=bytes(1001))

    assert answer.status_code == 413
    assert [len(request.body) for request in passed(hosts[0])] == [1000]


async def test_a_host_is_not_asked_to_show_what_it_gets(hosts):
    """Its answer to TRACE would have the headers in it that the configuration adds."""
    async with running(hosts[0]) as gateway:
        answer = await gateway.client.request("TRACE", NEW)

    assert (answer.status_code, answer.text) == (405, "405 method not allowed")
    assert "TRACE" not in answer.headers["allow"]
    assert passed(hosts[0]) == []


ADMIN = KeySettings(name="alice", secret="sk-alice-0123456789", scopes=("admin",))
USER = KeySettings(name="bob", secret="sk-bob-0123456789")


@pytest.mark.parametrize(("key", "status"), [("", 401), (USER.secret, 403), (ADMIN.secret, 404)])
@pytest.mark.parametrize("path", [NEW, "/api/me"])
async def test_only_who_may_manage_models_is_passed_on(hosts, key, status, path):
    async with running(hosts[0], keys=(ADMIN, USER)) as gateway:
        hosts[0].script(Reply(status=404, path="/api/me"))
        answer = await gateway.client.post(path, headers={"x-api-key": key} if key else {})

    assert answer.status_code == status
    assert len(passed(hosts[0], path)) == (status == 404)
    if status != 404:
        assert set(json.loads(answer.content)) == {"error"}

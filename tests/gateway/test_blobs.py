"""`/api/blobs/:digest`: a blob goes to every host that is meant and lacks it, and who did not get it is told."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator

import pytest

from gateway.config import KeySettings
from gateway.hop import Timeouts
from gateway.simulator import SimulatedRequest, Simulator
from gateway.simulator.faults import End, Hang, Raw, Reply
from tests.adapters.ollama.recorded import recording
from tests.running import running

DATA = b"not a model"
DIGEST = f"sha256:{hashlib.sha256(DATA).hexdigest()}"
PATH = f"/api/blobs/{DIGEST}"
ROUTE = "/api/blobs/:digest"


@pytest.fixture
async def hosts():
    async with Simulator() as one, Simulator() as two, Simulator() as three:
        yield [one, two, three]


def holding(hosts: list[Simulator]) -> list[bool]:
    return [DIGEST in host.blobs for host in hosts]


def got(host: Simulator) -> list[str]:
    """Return by which methods a host was asked about blobs."""
    return [request.method for request in host.requests if request.path.startswith("/api/blobs/")]


async def test_every_host_gets_it_and_nobody_gets_it_twice(hosts):
    async with running(*hosts) as gateway:
        missing = await gateway.client.head(PATH)
        created = await gateway.client.post(PATH, content=DATA)
        again = await gateway.client.post(PATH, content=DATA)
        there = await gateway.client.head(PATH)

    assert holding(hosts) == [True] * 3
    assert [got(host) for host in hosts] == [["HEAD", "HEAD", "POST", "HEAD", "HEAD"]] * 3
    for answer, name in (
        (missing, "blobs-head-missing"),
        (created, "blobs-post-created"),
        (again, "blobs-post-again"),
        (there, "blobs-head-exists"),
    ):
        recorded = recording(f"0.33/{name}")
        assert (answer.status_code, answer.content) == (recorded.status, recorded.body)
    assert missing.headers["content-length"] == "102"
    assert "content-length" not in there.headers
    assert created.headers["x-gateway-host"] == "host-0, host-1, host-2"


async def test_only_those_that_lack_it_get_it(hosts):
    async with running(*hosts) as gateway:
        await gateway.client.post(PATH, content=DATA, headers={"x-gateway-hosts": "host-1"})
        assert holding(hosts) == [False, True, False]
        assert (await gateway.client.head(PATH)).status_code == 404
        answer = await gateway.client.post(PATH, content=DATA)

    assert answer.status_code == 201
    assert holding(hosts) == [True] * 3
    assert got(hosts[1]) == ["HEAD", "POST", "HEAD", "HEAD"]


PLACEMENTS = [
    ("any", None, [True, False, False]),
    (("host-2", "host-1"), None, [False, True, True]),
    ("all", "any", [True, False, False]),
    ("any", "all", [True, True, True]),
    ("any", "host-2", [False, False, True]),
]


@pytest.mark.parametrize(("placement", "wish", "expected"), PLACEMENTS)
async def test_the_request_or_the_configuration_says_where_it_goes(hosts, placement, wish, expected):
    async with running(*hosts, placement=placement) as gateway:
        headers = {"x-gateway-hosts": wish} if wish else {}
        created = await gateway.client.post(PATH, content=DATA, headers=headers)
        there = await gateway.client.head(PATH, headers=headers)

    assert (created.status_code, there.status_code) == (201, 200)
    assert holding(hosts) == expected


async def test_where_one_is_enough_it_is_the_first_that_answers(hosts):
    async with running(*hosts, placement="any", probe_interval=600) as gateway:
        await hosts[0].kill()
        created = await gateway.client.post(PATH, content=DATA)

    assert created.status_code == 201
    assert holding(hosts[1:]) == [True, False]
    assert created.headers["x-gateway-host"] == "host-1"


async def test_the_simulated_host_beside_the_others_gets_nothing(hosts):
    demo = Simulator()
    async with running(hosts[0], demo=demo) as gateway:
        assert (await gateway.client.post(PATH, content=DATA)).status_code == 201
        wished = await gateway.client.post(PATH, content=DATA, headers={"x-gateway-hosts": "demo"})

    assert wished.status_code == 400
    assert got(demo) == []


@pytest.mark.parametrize("noticed", [True, False], ids=["known to be", "found to be"])
async def test_a_host_that_is_down_is_told_of_in_a_header(hosts, noticed):
    async with running(*hosts, probe_interval=600) as gateway:
        await hosts[1].kill()
        if noticed:
            await gateway.seen()
        created = await gateway.client.post(PATH, content=DATA)
        there = await gateway.client.head(PATH)

    assert (created.status_code, there.status_code) == (201, 200)
    assert holding(hosts) == [True, False, True]
    assert created.headers["x-gateway-hosts-down"] == there.headers["x-gateway-hosts-down"] == "host-1"


async def test_a_host_that_was_named_and_is_down_is_a_failure(hosts):
    async with running(*hosts, probe_interval=600) as gateway:
        await hosts[1].kill()
        await gateway.seen()
        named = {"x-gateway-hosts": "host-0,host-1"}
        answer = await gateway.client.post(PATH, content=DATA, headers=named)
        assert (await gateway.client.head(PATH, headers=named)).status_code == 404

    assert holding(hosts) == [True, False, False]
    assert answer.status_code == 502
    assert answer.json() == {"error": "host-1: The host is down. It is done on host-0."}


async def test_without_any_host_there_is_nowhere_to_put_it(hosts):
    async with running(hosts[0], probe_interval=600) as gateway:
        await hosts[0].kill()
        await gateway.seen()
        answer = await gateway.client.post(PATH, content=DATA)

    assert answer.status_code == 503
    assert "host-0" in answer.json()["error"]


async def test_a_digest_that_does_not_match_is_refused_in_the_hosts_words(hosts):
    recorded = recording("0.33/blobs-post-mismatch")
    async with running(*hosts) as gateway:
        answer = await gateway.client.post(recorded.request["path"], content=DATA)

        assert (answer.status_code, answer.content) == (recorded.status, recorded.body)
        assert (await gateway.client.head(recorded.request["path"])).status_code == 404


@pytest.mark.parametrize("method", ["HEAD", "POST"])
@pytest.mark.parametrize("digest", ["nope", "sha256:12", f"md5:{DIGEST[7:]}", "sha256:" + "g" * 64, f"{DIGEST}%0a"])
async def test_what_is_no_digest_reaches_no_host(hosts, method, digest):
    async with running(*hosts) as gateway:
        answer = await gateway.client.request(method, f"/api/blobs/{digest}", content=DATA)

    recorded = recording(f"0.33/blobs-{method.lower()}-bad-digest")
    assert (answer.status_code, answer.content) == (recorded.status, recorded.body)
    assert [got(host) for host in hosts] == [[]] * 3


FULL = b'{"error":"no space left on device"}'

FAILURES = [
    ("its own words", Reply(status=507, body=FULL, path=ROUTE), 507, "no space left on device"),
    ("no words", Reply(status=500, path=ROUTE), 502, "failed to answer"),
    ("not proper HTTP", Raw(b"hello", path=ROUTE), 502, "not proper HTTP"),
    ("cut off", Raw(b"HTTP/1.1 201 Created\r\ncontent-length: 5\r\n\r\n", path=ROUTE), 502, "middle of its answer"),
]


@pytest.mark.parametrize(("fault", "status", "reason"), [row[1:] for row in FAILURES], ids=[row[0] for row in FAILURES])
async def test_a_host_that_fails_is_named_and_the_others_have_it(hosts, log, fault, status, reason):
    async with running(*hosts) as gateway:
        hosts[1].script(Reply(status=404, path=ROUTE), fault)
        answer = await gateway.client.post(PATH, content=DATA)

    assert holding(hosts) == [True, False, True]
    assert answer.status_code == status
    assert answer.json()["error"].startswith("host-1: ")
    assert reason in answer.json()["error"]
    assert answer.json()["error"].endswith("It is done on host-0, host-2.")
    [line] = [line for line in log() if line["event"] == "management"]
    assert (line["level"], line["done"]) == ("warning", "host-0, host-2")


async def test_hosts_that_fail_in_different_ways_are_all_named(hosts):
    async with running(*hosts) as gateway:
        for host, status in zip(hosts, (507, 500, 507), strict=True):
            host.script(
                Reply(status=404, path=ROUTE), Reply(status=status, body=b'{"error":"%d"}' % status, path=ROUTE)
            )
        answer = await gateway.client.post(PATH, content=DATA)

    assert answer.status_code == 502
    assert answer.json() == {"error": "host-0, host-2: 507; host-1: 500"}


async def test_a_host_that_does_not_tell_whether_it_has_it_gets_nothing(hosts):
    async with running(*hosts) as gateway:
        hosts[1].script(Reply(status=500, path=ROUTE))
        answer = await gateway.client.post(PATH, content=DATA)

    assert got(hosts[1]) == ["HEAD"]
    assert holding(hosts) == [True, False, True]
    assert answer.status_code == 502


class Hasty(Simulator):
    """A host that answers an upload before it has taken all of it."""

    async def answer(self, request: SimulatedRequest, *, keep_alive: bool) -> AsyncGenerator[bytes | End, None]:
        if request.method == "POST" and request.upload is not None:
            self.requests.append(request)
            await anext(aiter(request.pieces()))
            yield b"HTTP/1.1 507 Full\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
                len(FULL),
                FULL,
            )
            yield "hang"
        async for step in super().answer(request, keep_alive=keep_alive):
            yield step


async def test_a_host_that_refuses_in_the_middle_drops_out_and_the_others_go_on():
    blob = bytes(20_000_000)
    path = f"/api/blobs/sha256:{hashlib.sha256(blob).hexdigest()}"
    async with Simulator() as whole, Hasty() as hasty, running(whole, hasty) as gateway:
        answer = await gateway.client.post(path, content=blob)

        assert [stored.size for stored in whole.stored.values()] == [len(blob)]
        assert answer.status_code == 507
        assert answer.json() == {"error": "host-1: no space left on device. It is done on host-0."}


async def test_when_the_only_host_refuses_the_caller_need_not_send_the_rest():
    async with Hasty() as hasty, running(hasty) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000000000\r\n\r\nnot".encode())
        answer = await reader.readuntil(FULL)
        writer.close()

    assert answer.startswith(b"HTTP/1.1 507 ")


async def test_a_host_that_hangs_while_it_is_asked_does_not_keep_the_caller_for_ever(hosts, monkeypatch):
    monkeypatch.setattr("gateway.api.native.blobs.QUICK", Timeouts(total=0.2))
    async with running(*hosts[:2]) as gateway:
        hosts[1].script(Hang(path=ROUTE))
        answer = await gateway.client.post(PATH, content=DATA)

    assert answer.status_code == 504
    assert holding(hosts[:2]) == [True, False]


class Stuck(Simulator):
    """A host that takes an upload, or the beginning of it, and is not heard of again."""

    takes_all = True

    async def answer(self, request: SimulatedRequest, *, keep_alive: bool) -> AsyncGenerator[bytes | End, None]:
        if request.method == "POST":
            self.script(Hang(path="/api/tags", times=None))
            async for _ in request.pieces():
                if not self.takes_all:
                    break
            yield "hang"
        async for step in super().answer(request, keep_alive=keep_alive):
            yield step


@pytest.mark.parametrize("takes_all", [True, False])
async def test_a_host_that_dies_with_an_upload_is_given_up_and_the_others_have_it(monkeypatch, takes_all):
    monkeypatch.setattr("gateway.fleet.prober.TIMEOUT", 0.3)
    monkeypatch.setattr("gateway.management.asking.DEAD", 0.3)
    blob = bytes(20_000_000)
    path = f"/api/blobs/sha256:{hashlib.sha256(blob).hexdigest()}"
    async with Simulator() as whole, Stuck() as stuck, running(whole, stuck, probe_interval=0.1) as gateway:
        stuck.takes_all = takes_all
        answer = await gateway.client.post(path, content=blob)

        assert [stored.size for stored in whole.stored.values()] == [len(blob)]
    assert answer.status_code == 504
    assert answer.json() == {
        "error": "host-1: The host was given up: it has been down for 0.3 seconds. It is done on host-0."
    }


async def test_a_host_that_is_slow_to_store_an_upload_is_waited_for(monkeypatch, hosts):
    monkeypatch.setattr("gateway.management.asking.DEAD", 0.2)
    async with running(*hosts[:2], probe_interval=0.1) as gateway:
        hosts[1].blob_bytes_per_second = 10
        answer = await gateway.client.post(PATH, content=DATA)

    assert answer.status_code == 201
    assert holding(hosts[:2]) == [True, True]


ADMIN = KeySettings(name="alice", secret="sk-alice-0123456789", scopes=("admin",))
USER = KeySettings(name="bob", secret="sk-bob-0123456789")


@pytest.mark.parametrize(("key", "status"), [("", 401), (USER.secret, 403), (ADMIN.secret, 201)])
async def test_who_may_manage_models_may_bring_blobs(hosts, key, status):
    async with running(*hosts, keys=(ADMIN, USER)) as gateway:
        answer = await gateway.client.post(PATH, content=DATA, headers={"x-api-key": key} if key else {})

    assert answer.status_code == status
    assert holding(hosts) == [status == 201] * 3
    assert [got(host) for host in hosts] == [["HEAD", "POST"] if status == 201 else []] * 3

"""Hosts that never come to an end: each is waited for as long as it lives and has something to say, and no longer."""

from __future__ import annotations

import pytest

from gateway.hop import Timeouts
from gateway.simulator import Simulator
from gateway.simulator.faults import Cut, Hang, Inject, Raw
from tests.native.managing import asked, fleet, have, lines, manage, statuses

PULL = "/api/pull"
PUSH = "/api/push"
BEGINS = b'{"status":"pulling manifest"}'
SUCCESS = b'{"status":"success"}'
FULL = b'{"error":"no space left on device"}'
LAYER = b'{"status":"pulling 0123456789ab","digest":"sha256:0123456789ab","total":1000,"completed":%d}'

GIVEN_UP = "The host was given up: it has been down for 0.3 seconds."


def told(*said: bytes, status: int = 200) -> bytes:
    """Return the beginning of an answer with these lines, whose end is missing."""
    head = b"HTTP/1.1 %d X\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n" % status
    return head + b"".join(b"%x\r\n%b\n\r\n" % (len(line) + 1, line) for line in said)


def hang(host: Simulator, *, path: str = PULL, lines: int = 2) -> None:
    """Let a host stop in the middle of its work, and answer nothing else from then on."""
    host.script(Cut(lines, end="hang", path=path), Hang(path="/api/tags", times=None))


@pytest.fixture
def mortal(monkeypatch):
    """Find out soon that a host is down, and that it stays so."""
    monkeypatch.setattr("gateway.fleet.prober.TIMEOUT", 0.3)
    monkeypatch.setattr("gateway.management.asking.DEAD", 0.3)


# --- hosts that are dead ----------------------------------------------------------------------------------------------


async def test_a_host_that_hangs_is_given_up_when_it_is_dead_and_the_others_go_on(mortal):
    async with fleet(settings={"probe_interval": 0.1}) as (gateway, hosts):
        hang(hosts[1])
        answer = await manage(gateway, PULL, model="tiny-chat")

    assert f"host-1 failed: {GIVEN_UP}" in statuses(answer)
    assert lines(answer)[-1] == {"error": f"host-1: {GIVEN_UP.removesuffix('.')}. It is done on host-0, host-2."}
    assert have(hosts, "tiny-chat") == [True, False, True]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_host_that_hangs_before_its_first_line_is_given_up_too(mortal, stream):
    async with fleet(1, settings={"probe_interval": 0.1}) as (gateway, hosts):
        hosts[0].script(Hang(path=PULL), Hang(path="/api/tags", times=None))
        answer = await manage(gateway, PULL, model="tiny-chat", stream=stream)

    assert (answer.status_code, answer.json()) == (504, {"error": GIVEN_UP})


@pytest.mark.parametrize(("path", "hosts_meant"), [(PULL, "any"), (PUSH, "")])
async def test_where_one_is_enough_another_one_takes_the_place_of_a_dead_host(mortal, path, hosts_meant):
    async with fleet(2, settings={"probe_interval": 0.1}) as (gateway, hosts):
        hang(hosts[0], path=path, lines=0)
        answer = await manage(gateway, path, hosts_meant, model="demo")

    assert statuses(answer)[-1] == "success"
    assert answer.headers["x-gateway-host"] == "host-0, host-1"


async def test_a_host_that_is_slow_is_not_given_up(mortal):
    async with fleet(2, settings={"probe_interval": 0.1}, pull_seconds=1.5, pull_steps=1) as (gateway, hosts):
        answer = await manage(gateway, PULL, model="tiny-chat")

    assert statuses(answer)[-1] == "success"
    assert have(hosts, "tiny-chat") == [True, True]


# --- hosts that do not end their answers ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "reason"),
    [(FULL, "no space left on device"), (b"oops", "The host sent a line that makes no sense.")],
    ids=["error", "nonsense"],
)
@pytest.mark.parametrize("count", [1, 3])
async def test_a_host_that_has_failed_is_not_waited_for(count, line, reason):
    async with fleet(count) as (gateway, hosts):
        hosts[0].script(Raw(told(BEGINS, line), end="hang", path=PULL))
        answer = await manage(gateway, PULL, model="tiny-chat")

    done = "" if count == 1 else ". It is done on host-1, host-2."
    error = reason if count == 1 else f"host-0: {reason.removesuffix('.')}{done}"
    assert lines(answer)[-1] == {"error": error}
    assert have(hosts, "tiny-chat") == [False, True, True][:count]


@pytest.mark.parametrize("count", [1, 2])
async def test_a_host_that_is_done_is_waited_for_only_a_while(monkeypatch, count):
    monkeypatch.setattr("gateway.management.round.SETTLE", 0.2)
    async with fleet(count) as (gateway, hosts):
        hosts[0].script(Raw(told(BEGINS, SUCCESS), end="hang", path=PULL))
        answer = await manage(gateway, PULL, model="tiny-chat")

    assert lines(answer)[-1] == {"status": "success"}


async def test_a_host_that_goes_on_after_success_is_not_done_yet(monkeypatch):
    monkeypatch.setattr("gateway.management.round.SETTLE", 5.0)
    async with fleet(1) as (gateway, hosts):
        hosts[0].script(Inject(1, SUCCESS + b"\n", path=PULL))
        answer = await manage(gateway, PULL, model="tiny-chat")

    assert statuses(answer)[:2] == ["pulling manifest", "success"]
    assert statuses(answer)[-2:] == ["writing manifest", "success"]
    assert have(hosts, "tiny-chat") == [True]


@pytest.mark.parametrize("end", ["reset", "close"])
@pytest.mark.parametrize("count", [1, 2])
async def test_what_is_done_stays_done_when_the_connection_is_cut(count, end):
    async with fleet(count) as (gateway, hosts):
        hosts[0].script(Raw(told(BEGINS, SUCCESS), end=end, path=PULL))
        answer = await manage(gateway, PULL, model="tiny-chat")

    assert lines(answer)[-1] == {"status": "success"}


async def test_a_host_that_does_not_finish_its_refusal_is_not_waited_for(monkeypatch):
    monkeypatch.setattr("gateway.management.round.QUICK", Timeouts(total=0.2))
    async with fleet(2) as (gateway, hosts):
        hosts[0].script(Raw(told(b'{"error":', status=500), end="hang", path=PULL))
        answer = await manage(gateway, PULL, model="tiny-chat")

    assert statuses(answer)[-1] == ("host-0: The host refuses, and did not finish to say why. It is done on host-1.")


# --- one host after the other -----------------------------------------------------------------------------------------


async def test_a_bar_never_goes_back_when_the_next_host_begins():
    async with fleet(2) as (gateway, hosts):
        hosts[0].script(Raw(told(BEGINS, LAYER % 900), end="reset", path=PULL))
        hosts[1].script(Raw(told(BEGINS, LAYER % 10, LAYER % 950, SUCCESS), end="close", path=PULL))
        answer = await manage(gateway, PULL, "any", model="tiny-chat")

    assert [line["completed"] for line in lines(answer) if "digest" in line] == [900, 900, 950]
    assert statuses(answer)[-1] == "success"
    assert [len(asked(host, PULL)) for host in hosts] == [1, 1]


async def test_a_line_of_many_pieces_is_one_line():
    line = b'{"status":"%b"}' % (b"x" * 2_000_000)
    async with fleet(1) as (gateway, hosts):
        hosts[0].script(Raw(told(BEGINS, line, SUCCESS), end="close", path=PULL))
        answer = await manage(gateway, PULL, model="tiny-chat")

    assert answer.content.splitlines() == [BEGINS, line, SUCCESS]

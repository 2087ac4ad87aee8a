from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from adapters.types import Call
from gateway.config import KeySettings
from gateway.management.telling import tell
from gateway.metrics import Metrics
from gateway.record import LONGEST, Record
from gateway.simulator.faults import Hang, Reply, refusal
from tests.native.managing import fleet, manage
from tests.running import eventually

DOCS = Path(__file__).parents[3] / "docs" / "operations.md"


def told(log, event="management"):
    """Return the lines of an event, without their time and request."""
    return [
        {name: value for name, value in line.items() if name not in ("time", "request_id")}
        for line in log()
        if line["event"] == event
    ]


async def test_who_did_what_to_which_model_on_which_hosts(log):
    key = KeySettings(name="alice", secret="sk-alice-0123456789", scopes=("admin",))
    async with fleet(settings={"keys": (key,)}) as (gateway, _):
        gateway.client.headers["authorization"] = "Bearer sk-alice-0123456789"
        await manage(gateway, "/api/pull", model="tiny-chat")
        await manage(gateway, "/api/push", model="tiny-chat", stream=False)
        await manage(gateway, "/api/create", **{"model": "mine", "from": "tiny-chat"})
        await manage(gateway, "/api/copy", source="mine", destination="yours")
        await manage(gateway, "/api/delete", model="yours")
        await gateway.client.delete("/v1/models/mine")

    common = {"level": "info", "event": "management", "caller": "alice"}
    every = "host-0, host-1, host-2"
    assert told(log) == [
        {**common, "what": "pull", "model": "tiny-chat", "done": every},
        {**common, "what": "push", "model": "tiny-chat", "done": "host-0"},
        {**common, "what": "create", "model": "mine", "done": every},
        {**common, "what": "copy", "model": "mine", "destination": "yours", "done": every},
        {**common, "what": "delete", "model": "yours", "done": every},
        {**common, "what": "delete", "model": "mine", "done": every},
    ]


@pytest.mark.parametrize("path", ["/api/pull", "/api/delete"])
async def test_what_was_not_done_everywhere_is_a_warning(log, path):
    async with fleet() as (gateway, hosts):
        hosts[0].script(refusal(500, "disk on fire", path=path))
        await hosts[1].kill()
        await manage(gateway, path, model="demo")

    assert told(log) == [
        {
            "level": "warning",
            "event": "management",
            "what": path.removeprefix("/api/"),
            "model": "demo",
            "done": "host-2",
            "failed": "host-0: disk on fire",
            "down": "host-1",
        }
    ]


async def test_hosts_that_were_stopped_in_the_middle_are_told_of(log):
    async with fleet(2, pull_seconds=1000.0) as (gateway, hosts):
        async with gateway.client.stream("POST", "/api/pull", json={"model": "tiny-chat"}) as answer:
            lines = answer.aiter_lines()
            await anext(lines)
            await eventually(lambda: all(host.downloading for host in hosts))
        await eventually(lambda: told(log))

    assert told(log) == [
        {
            "level": "warning",
            "event": "management",
            "what": "pull",
            "model": "tiny-chat",
            "unfinished": "host-0, host-1",
        }
    ]


@pytest.mark.parametrize("path", ["/api/copy", "/api/delete"])
async def test_a_caller_who_leaves_before_all_hosts_have_answered_is_told_of(log, path):
    async with fleet(2) as (gateway, hosts):
        hosts[1].script(Hang(path=path))
        calling = asyncio.create_task(manage(gateway, path, model="demo", source="demo", destination="mine"))
        await eventually(lambda: [request.path for host in hosts for request in host.requests].count(path) == 2)
        await eventually(lambda: gateway.gateway.fleet.hosts["host-0"].hop.busy == 0)
        calling.cancel()
        await eventually(lambda: told(log))

    assert told(log) == [
        {
            "level": "warning",
            "event": "management",
            "what": path.removeprefix("/api/"),
            "model": "demo",
            **({"destination": "mine"} if path == "/api/copy" else {}),
            "done": "host-0",
            "unfinished": "host-1",
        }
    ]


@pytest.mark.parametrize("path", ["/api/copy", "/api/delete"])
async def test_what_did_nothing_for_want_of_the_model_does_not_read_as_done(log, path):
    async with fleet(2) as (gateway, _):
        await manage(gateway, path, model="nope", source="nope", destination="mine")

    [line] = told(log)
    assert (line["missing"], "done" in line) == (True, False)


@pytest.mark.parametrize("stops", [False, True], ids=["the caller leaves", "the gateway stops"])
async def test_an_upload_that_ends_before_its_end_is_told_of(log, stops):
    async def endless():
        yield b"GGUF"
        await asyncio.Event().wait()

    async with fleet(2) as (gateway, hosts):
        sending = asyncio.create_task(gateway.client.post(f"/api/blobs/sha256:{64 * '0'}", content=endless()))
        await eventually(lambda: all(any(request.upload for request in host.requests) for host in hosts))
        if stops:
            gateway.gateway.end_all()
        else:
            sending.cancel()
        await eventually(lambda: told(log))
        sending.cancel()

    assert told(log) == [{"level": "warning", "event": "management", "what": "blobs", "unfinished": "host-0, host-1"}]


async def test_the_line_of_the_request_says_it_too(log):
    async with fleet(2) as (gateway, _):
        answer = await manage(gateway, "/api/pull", model="nope")
        await manage(gateway, "/api/delete", model="nope")

    pulled, deleted = told(log, "request")
    assert {line["request_id"] for line in log() if line.get("what") == "pull"} == {answer.headers["x-request-id"]}
    assert {
        name: pulled[name] for name in ("path", "status", "model", "host", "route", "tried", "stream", "error")
    } == {
        "path": "/api/pull",
        "status": 200,
        "model": "nope",
        "host": "host-0, host-1",
        "route": "all, 2 hosts",
        "tried": 2,
        "stream": True,
        "error": "model_not_found",
    }
    assert "file does not exist" in pulled["detail"]
    assert (deleted["status"], deleted["model"], deleted["error"]) == (404, "nope", "model_not_found")


async def test_names_that_callers_make_up_do_not_become_series():
    async with fleet(1) as (gateway, hosts):
        hosts[0].script(Reply(body=b'{"status":"success"}\n', path="/api/pull"))
        await manage(gateway, "/api/pull", model="made-up")
        metrics = (await gateway.client.get("/metrics")).text

    assert "made-up" not in metrics
    assert 'ollama_gateway_requests_total{host="host-0",model="",route="api/pull",status="200"} 1.0' in metrics


def test_every_field_has_a_row(log):
    record = Record(Metrics(), "POST", "/api/pull")
    record.caller, record.asked, record.down = "alice", "m" * 2 * LONGEST, "c"
    call = Call(method="POST", target="/api/pull")
    tell(record, call, done=["a"], failed={"b": "x" * 2 * LONGEST}, unfinished=["d"], destination="e", missing=True)
    rows = re.findall(
        r"^\| ((?:`\w+`(?:, )?)+) \|", DOCS.read_text().partition("the event `management`")[2], re.MULTILINE
    )

    [line] = log()
    assert line.keys() - {"time", "level", "event"} == {name.strip("`") for row in rows for name in row.split(", ")}
    assert (len(line["model"]), len(line["failed"])) == (LONGEST, LONGEST)

"""A copy and a delete: on every host that has the model."""

from __future__ import annotations

import httpx2
import pytest

from gateway.config import ModelSettings
from gateway.simulator import Simulator
from gateway.simulator.faults import Raw, Reply, refusal
from tests.gateway.simulator.tiny import tiny_chat
from tests.native.managing import asked, fleet, have, manage, see_nothing

COPY = "/api/copy"
DELETE = "/api/delete"
NO_HTTP = "The host's answer is not proper HTTP. Something else may be listening there"


async def test_every_host_that_has_it_copies_it_and_the_next_request_sees_it():
    async with fleet() as (gateway, hosts):
        hosts[1].add(tiny_chat)
        hosts[2].add(tiny_chat)
        answer = await manage(gateway, COPY, source="tiny-chat", destination="mine")
        shown = await gateway.client.post("/api/show", json={"model": "mine"})

    assert (answer.status_code, answer.content) == (200, b"")
    assert "content-type" not in answer.headers
    assert answer.headers["x-gateway-host"] == "host-1, host-2"
    assert have(hosts, "mine") == [False, True, True]
    assert shown.status_code == 200


async def test_every_host_that_has_it_deletes_it_and_the_next_request_sees_it():
    async with fleet() as (gateway, hosts):
        hosts[1].add(tiny_chat)
        hosts[2].add(tiny_chat)
        await gateway.seen()
        answer = await manage(gateway, DELETE, name="tiny-chat")
        listed = await gateway.client.get("/api/tags")
        again = await manage(gateway, DELETE, name="tiny-chat")

    assert (answer.status_code, answer.content) == (200, b"")
    assert have(hosts, "tiny-chat") == [False] * 3
    assert [model["name"] for model in listed.json()["models"]] == ["demo:latest"]
    assert (again.status_code, again.json()) == (404, {"error": "model 'tiny-chat' not found"})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (COPY, {"source": "nope", "destination": "mine"}),
        (COPY, {"source": "demo", "destination": "a/b/c/d/e"}),
        (COPY, {"destination": "mine"}),
        (COPY, {"source": 5, "destination": "mine"}),
        (DELETE, {"model": "nope"}),
        (DELETE, {"model": "a/b/c/d/e"}),
        (DELETE, {}),
        (DELETE, {"model": ["demo"]}),
        (DELETE, []),
    ],
)
async def test_a_mistake_is_told_in_the_hosts_own_bytes(path, body):
    async with fleet() as (gateway, hosts), Simulator() as other:
        method = "DELETE" if path == DELETE else "POST"
        answer = await gateway.client.request(method, path, json=body)
        async with httpx2.AsyncClient(base_url=other.url, trust_env=False) as client:
            own = await client.request(method, path, json=body)

    assert (answer.status_code, answer.content) == (own.status_code, own.content)
    assert answer.headers["content-type"] == own.headers["content-type"]
    assert have(hosts, "demo") == [True] * 3


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "missing request body"),
        (b"{", "unexpected EOF"),
        (b'{"model": "demo", "MODEL": "x"}', "given more than once"),
    ],
)
async def test_a_body_that_cannot_be_read_reaches_no_host(content, error):
    async with fleet(1) as (gateway, hosts):
        answer = await gateway.client.request("DELETE", DELETE, content=content)

    assert answer.status_code == 400
    assert error in answer.json()["error"]
    assert asked(hosts[0], DELETE) == []


async def test_a_host_reads_no_other_name_than_was_read_here():
    async with fleet(1) as (gateway, hosts):
        answer = await gateway.client.request("DELETE", DELETE, content=b'{"model": "demo", "model": null}')
        sent = [request.body for request in hosts[0].requests if request.path == DELETE]

    assert sent == [b'{"model":null}']
    assert (answer.status_code, answer.json()) == (400, {"error": "model is required"})
    assert have(hosts, "demo") == [True]


@pytest.mark.parametrize("path", [COPY, DELETE])
async def test_an_alias_is_not_followed(path):
    settings = {"models": {"demo": ModelSettings(aliases=("gpt-4o-mini",))}}
    async with fleet(2, settings=settings) as (gateway, hosts):
        answer = await manage(gateway, path, model="gpt-4o-mini", source="gpt-4o-mini", destination="mine")

    assert (answer.status_code, answer.json()) == (
        404,
        {"error": "'gpt-4o-mini' is an alias of 'demo' here; name the model itself."},
    )
    assert have(hosts, "demo") == [True, True]
    assert [asked(host, path) for host in hosts] == [[], []]


@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [
        (refusal(500, "disk on fire", path=DELETE), 500, "disk on fire"),
        (refusal(400, "never.", path=DELETE), 400, "never"),
        (Raw(b"oops", path=DELETE), 502, NO_HTTP),
        (Reply(404, b"404 page not found", "text/plain", path=DELETE), 502, "The host does not answer as Ollama does"),
    ],
)
async def test_a_host_that_fails_is_told_by_name_with_those_where_it_was_done(fault, status, reason):
    async with fleet() as (gateway, hosts):
        hosts[1].script(fault)
        answer = await manage(gateway, DELETE, model="demo")

    assert (answer.status_code, answer.json()) == (
        status,
        {"error": f"host-1: {reason}. It is done on host-0, host-2."},
    )
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert have(hosts, "demo") == [False, True, False]


# --- which hosts ------------------------------------------------------------------------------------------------------


async def test_only_hosts_that_are_named_are_asked():
    async with fleet() as (gateway, hosts):
        answer = await manage(gateway, DELETE, "host-1", model="demo")

    assert (answer.status_code, answer.headers["x-gateway-host"]) == (200, "host-1")
    assert have(hosts, "demo") == [True, False, True]


async def test_any_makes_no_sense_for_what_is_done_everywhere():
    async with fleet(1) as (gateway, hosts):
        answer = await manage(gateway, DELETE, "any", model="demo")

    assert answer.status_code == 400
    assert "name hosts in x-gateway-hosts, or leave it out" in answer.json()["error"]
    assert have(hosts, "demo") == [True]


@pytest.mark.parametrize("noticed", [True, False])
async def test_hosts_that_are_down_are_listed(noticed):
    async with fleet() as (gateway, hosts):
        await hosts[1].kill()
        if noticed:
            await gateway.seen()
        answer = await manage(gateway, DELETE, model="demo")
        again = await manage(gateway, DELETE, model="demo")

    assert (answer.status_code, again.status_code) == (200, 503)
    assert answer.headers["x-gateway-hosts-down"] == again.headers["x-gateway-hosts-down"] == "host-1"


@pytest.mark.parametrize("path", [COPY, DELETE])
@pytest.mark.parametrize("noticed", [True, False])
async def test_what_only_a_host_has_that_is_down_is_not_gone(monkeypatch, path, noticed):
    async with fleet() as (gateway, hosts):
        hosts[1].add(tiny_chat)
        await gateway.seen()
        if not noticed:
            monkeypatch.setattr(gateway.gateway.fleet, "seen", see_nothing)
        await hosts[1].kill()
        body = {"model": "tiny-chat", "source": "tiny-chat", "destination": "mine"}
        answer = await manage(gateway, path, **body)
        named = await manage(gateway, path, "host-0", **body)

    assert answer.status_code == 503
    assert "the host that has it is down. Try again later." in answer.json()["error"]
    assert answer.headers["x-gateway-hosts-down"] == "host-1"
    assert answer.headers["retry-after"]
    assert named.status_code == 404


async def test_a_host_that_was_named_and_is_down_is_a_failure():
    async with fleet() as (gateway, hosts):
        await hosts[1].kill()
        await gateway.seen()
        answer = await manage(gateway, DELETE, "host-0,host-1", model="demo")

    assert (answer.status_code, answer.json()) == (502, {"error": "host-1: The host is down. It is done on host-0."})
    assert answer.headers["x-gateway-hosts-down"] == "host-1"


@pytest.mark.parametrize(("path", "status"), [(COPY, 404), (DELETE, 200)])
async def test_a_host_that_was_named_and_lacks_the_model_cannot_copy_it_and_need_not_delete_it(path, status):
    async with fleet() as (gateway, hosts):
        hosts[0].add(tiny_chat)
        body = {"model": "tiny-chat", "source": "tiny-chat", "destination": "mine"}
        answer = await manage(gateway, path, "host-0,host-1", **body)

    assert answer.status_code == status
    if path == COPY:
        assert answer.json() == {"error": 'host-1: model "tiny-chat" not found. It is done on host-0.'}
        assert have(hosts, "mine") == [True, False, False]
    else:
        assert have(hosts, "tiny-chat") == [False] * 3


@pytest.mark.parametrize("path", [COPY, DELETE])
async def test_what_no_host_that_was_named_has_is_told_in_their_own_words(path):
    async with fleet() as (gateway, hosts):
        hosts[0].add(tiny_chat)
        body = {"model": "tiny-chat", "source": "tiny-chat", "destination": "mine"}
        answer = await manage(gateway, path, "host-1,host-2", **body)

    assert answer.status_code == 404
    assert answer.json()["error"].replace('"', "'") == "model 'tiny-chat' not found"


async def test_the_placement_of_new_models_does_not_hide_where_models_are():
    async with fleet(settings={"placement": ("host-0",)}) as (gateway, hosts):
        answer = await manage(gateway, DELETE, model="demo")

    assert answer.status_code == 200
    assert have(hosts, "demo") == [False] * 3

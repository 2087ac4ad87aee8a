"""A create: on the hosts that have what the model is made of."""

from __future__ import annotations

from hashlib import sha256

import httpx2
import pytest

from gateway.config import ModelSettings
from gateway.simulator import Simulator
from gateway.simulator.faults import Raw, refusal
from tests.gateway.simulator.tiny import tiny_chat
from tests.native.managing import asked, fleet, have, is_own, lines, manage, statuses

CREATE = "/api/create"
GGUF = b"GGUF and more"
DIGEST = f"sha256:{sha256(GGUF).hexdigest()}"

BLOB = f"/api/blobs/{DIGEST}"


async def upload(*hosts: Simulator) -> None:
    """Give hosts a blob, behind the gateway's back."""
    for host in hosts:
        async with httpx2.AsyncClient(base_url=host.url, trust_env=False) as client:
            assert (await client.post(BLOB, content=GGUF)).status_code == 201


async def test_every_host_that_has_the_source_makes_it_and_the_next_request_sees_it():
    async with fleet() as (gateway, hosts):
        hosts[0].add(tiny_chat)
        hosts[2].add(tiny_chat)
        answer = await manage(gateway, CREATE, **{"model": "mine", "from": "TINY-CHAT:latest", "system": "Be kind."})
        shown = await gateway.client.post("/api/show", json={"model": "mine"})

    assert answer.headers["x-gateway-host"] == "host-0, host-2"
    assert statuses(answer)[-1] == "success"
    assert have(hosts, "mine") == [True, False, True]
    assert shown.json()["system"] == "Be kind."


async def test_what_no_host_has_is_pulled_by_all_of_them():
    async with fleet() as (gateway, hosts):
        answer = await manage(gateway, CREATE, **{"model": "mine", "from": "tiny-chat", "stream": False})

    assert (answer.status_code, answer.content) == (200, b'{"status":"success"}')
    assert have(hosts, "mine") == have(hosts, "tiny-chat") == [True] * 3


@pytest.mark.parametrize("wish", ["", "host-0"])
async def test_what_only_a_host_has_that_is_down_is_not_pulled_in_silence(wish):
    async with fleet() as (gateway, hosts):
        hosts[1].add(tiny_chat)
        await gateway.seen()
        await hosts[1].kill()
        answer = await manage(gateway, CREATE, wish, **{"model": "mine", "from": "tiny-chat"})

    assert answer.status_code == 503
    assert "the host that has it is down" in answer.json()["error"]
    assert have(hosts, "tiny-chat") == [False, True, False]


async def test_an_alias_is_not_followed():
    async with fleet(1, settings={"models": {"demo": ModelSettings(aliases=("gpt-4o-mini",))}}) as (gateway, hosts):
        answer = await manage(gateway, CREATE, **{"model": "mine", "from": "gpt-4o-mini"})

    assert (answer.status_code, answer.json()) == (
        400,
        {"error": "'gpt-4o-mini' is an alias of 'demo' here; name the model itself."},
    )
    assert asked(hosts[0], CREATE) == []


async def test_a_host_that_is_named_makes_it_though_it_has_to_pull_first():
    async with fleet() as (gateway, hosts):
        hosts[0].add(tiny_chat)
        answer = await manage(gateway, CREATE, "host-0,host-1", **{"model": "mine", "from": "tiny-chat"})

    assert statuses(answer)[-1] == "success"
    assert have(hosts, "mine") == [True, True, False]


async def test_where_any_host_will_do_it_is_one_that_has_the_source():
    async with fleet(settings={"placement": "any"}) as (gateway, hosts):
        hosts[1].add(tiny_chat)
        answer = await manage(gateway, CREATE, **{"model": "mine", "from": "tiny-chat"})

    assert answer.headers["x-gateway-host"] == "host-1"
    assert have(hosts, "mine") == [False, True, False]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "body",
    [
        {"model": "mine"},
        {"from": "demo"},
        {"model": "mine", "from": "a/b/c/d/e"},
        {"model": "mine", "from": "demo", "template": "{{ .Prompt"},
        {"model": "mine", "files": {"m.gguf": "nope"}},
        {"model": "mine", "files": {"m.gguf": f"sha256:{64 * '0'}"}},
        {"model": "mine", "files": {"../m.gguf": DIGEST}},
    ],
)
async def test_with_one_host_a_mistake_is_told_in_its_own_bytes(body, stream):
    body = body if stream else {**body, "stream": False}
    async with fleet(1) as (gateway, _), Simulator(version="0.24.0") as twin:
        await is_own(gateway, twin, CREATE, body)


async def test_a_mistake_is_told_once_where_all_hosts_say_the_same():
    async with fleet() as (gateway, _):
        answer = await manage(gateway, CREATE, model="mine")

    assert (answer.status_code, answer.content) == (400, b"{\"error\":\"neither 'from' or 'files' was specified\"}")


async def test_a_host_that_fails_is_told_by_name():
    async with fleet() as (gateway, hosts):
        hosts[1].script(refusal(500, "disk on fire", path=CREATE))
        answer = await manage(gateway, CREATE, **{"model": "mine", "from": "demo"})

    assert lines(answer)[-1] == {"error": "host-1: disk on fire. It is done on host-0, host-2."}


# --- from files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("digest", [DIGEST, DIGEST.replace(":", "-")])
async def test_the_hosts_that_hold_its_blobs_make_it(digest):
    async with fleet() as (gateway, hosts):
        await upload(hosts[0], hosts[2])
        answer = await manage(gateway, CREATE, model="mine", files={"m.gguf": digest})

    assert answer.headers["x-gateway-host"] == "host-0, host-2"
    assert statuses(answer)[-1] == "success"
    assert have(hosts, "mine") == [True, False, True]


async def test_a_host_that_was_named_and_lacks_a_blob_says_so_itself():
    async with fleet() as (gateway, hosts):
        await upload(hosts[0])
        answer = await manage(gateway, CREATE, "host-0,host-1", model="mine", files={"m.gguf": DIGEST})

    error = lines(answer)[-1]["error"]
    assert error.startswith("host-1: open /usr/share/ollama/.ollama/models/blobs/sha256-")
    assert error.endswith("It is done on host-0.")


@pytest.mark.parametrize(("placement", "wish"), [(("host-2",), ""), ("all", "host-2")])
async def test_blobs_that_other_hosts_hold_are_told_with_what_to_do(placement, wish):
    async with fleet(settings={"placement": placement}) as (gateway, hosts):
        await upload(hosts[0], hosts[1])
        answer = await manage(gateway, CREATE, wish, model="mine", files={"m.gguf": DIGEST})

    assert (answer.status_code, answer.json()) == (
        400,
        {
            "error": "the files are on host-0, host-1, and the model is to be made on host-2; upload them again with "
            "x-gateway-hosts: host-2, or create it with x-gateway-hosts: host-0, host-1"
        },
    )
    assert asked(hosts[2], CREATE) == []


async def test_blobs_that_no_host_holds_are_for_the_hosts_to_miss():
    async with fleet(2) as (gateway, _):
        answer = await manage(gateway, CREATE, model="mine", files={"m.gguf": DIGEST}, stream=False)

    assert answer.status_code == 500
    assert answer.json()["error"].startswith("host-0, host-1: open /usr/share/ollama/.ollama/models/blobs/sha256-")


@pytest.mark.parametrize("digest", ["../../tags", f"sha256:{64 * '0'}/../x", "sha256:12", 5])
async def test_what_is_no_digest_is_not_looked_for(digest):
    async with fleet(2) as (gateway, hosts):
        answer = await manage(gateway, CREATE, model="mine", files={"m.gguf": digest}, stream=False)
        looked = [request for host in hosts for request in host.requests if request.method == "HEAD"]

    assert answer.status_code in (400, 500)
    assert looked == []


@pytest.mark.parametrize("fault", [refusal(500, "disk on fire", path=BLOB), Raw(b"oops", path=BLOB)])
async def test_a_host_that_does_not_tell_what_it_holds_is_taken_to_hold_nothing(fault):
    async with fleet() as (gateway, hosts):
        await upload(*hosts)
        hosts[1].script(fault)
        answer = await manage(gateway, CREATE, model="mine", files={"m.gguf": DIGEST})

    assert answer.headers["x-gateway-host"] == "host-0, host-2"


# --- from a Modelfile -------------------------------------------------------------------------------------------------


async def test_a_legacy_modelfile_reaches_the_hosts_in_today_s_fields():
    async with fleet(2) as (gateway, hosts):
        hosts[1].add(tiny_chat)
        text = "FROM tiny-chat\nSYSTEM Be kind.\nPARAMETER mirostat 1\n"
        answer = await manage(gateway, CREATE, name="mine", modelfile=text, stream=False)
        sent = asked(hosts[1], CREATE)[0]

    assert (answer.status_code, answer.content) == (200, b'{"status":"success"}')
    assert answer.headers["x-gateway-host"] == "host-1"
    assert answer.headers["x-gateway-ignored"] == "modelfile.mirostat"
    assert (sent["from"], sent["system"], sent["stream"]) == ("tiny-chat", "Be kind.", True)


async def test_a_legacy_modelfile_that_cannot_be_translated_reaches_no_host():
    async with fleet(1) as (gateway, hosts):
        answer = await manage(gateway, CREATE, model="mine", modelfile="SYSTEM Be kind.")

    assert (answer.status_code, list(answer.json())) == (400, ["error"])
    assert "no FROM line" in answer.json()["error"]
    assert asked(hosts[0], CREATE) == []

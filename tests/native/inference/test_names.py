"""Aliases, and names in any spelling; and what becomes of names that no host has."""

from __future__ import annotations

import json

import pytest

from tests.native.trio import CHAT, EMBED, EMBEDDINGS, GENERATE, SHOW, TEXT

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("path", TEXT)
@pytest.mark.parametrize("name", ["gpt-4o-mini", "GPT-4o-mini:latest", "our/best:v1", "Our/Best:V1"])
async def test_an_alias_leads_to_its_model(three, path, name):
    answer = await three.ask(path, model=name, stream=False)

    [(_, sent)] = three.sent(path)
    assert answer.status_code == 200
    assert json.loads(sent)["model"] == answer.json()["model"] == "tuned:latest"


async def test_an_alias_works_at_every_path(three):
    for path, name in ((EMBED, "text-embedding-3-small"), (EMBEDDINGS, "text-embedding-3-small"), (SHOW, "o3")):
        answer = await three.ask(path, model=name)
        [(_, sent)] = three.sent(path)
        assert answer.status_code == 200
        assert json.loads(sent)["model"] in ("tiny-embed:latest", "tiny-think:latest")


async def test_an_alias_is_found_in_the_older_field_of_show(three):
    answer = await three.ask(SHOW, b'{"name":"o3"}')

    assert "thinking" in answer.json()["capabilities"]
    assert three.sent(SHOW) == [("new", b'{"name":"tiny-think:latest"}')]


@pytest.mark.parametrize(
    "name", ["see", "SEE", "see:latest", "library/see", "registry.ollama.ai/library/see:latest", "Library/See:Latest"]
)
async def test_a_name_in_any_spelling_leads_to_the_host_that_has_it(three, name):
    answer = await three.ask(CHAT, model=name, stream=False)

    [(host, sent)] = three.sent(CHAT)
    assert host == "new"
    assert json.loads(sent)["model"] == answer.json()["model"] == name


@pytest.mark.parametrize("name", [" see ", "see:", "see:latest:local", "https://registry.ollama.ai/library/see"])
async def test_a_spelling_that_hosts_may_not_know_becomes_theirs(three, name):
    answer = await three.ask(CHAT, model=name, stream=False)

    assert answer.status_code == 200
    assert json.loads(three.sent(CHAT)[0][1])["model"] == "see:latest"


@pytest.mark.parametrize("name", ["\u017fee", "\u212aimi", "nobody\u0000", "see\u200b", "x" * 100_000])
async def test_no_spelling_makes_a_model_disappear(three, name):
    for _ in range(3):
        await three.ask(CHAT, model=name)

    fleet = three.gateway.gateway.fleet
    assert [label for label, host in fleet.hosts.items() if "see:latest" in host.view.models] == ["new"]
    assert (await three.ask(CHAT, model="see")).status_code == 200


UNKNOWN = {
    CHAT: (404, "model 'nobody' not found"),
    GENERATE: (404, "model 'nobody' not found"),
    EMBED: (404, 'model "nobody" not found, try pulling it first'),
    EMBEDDINGS: (404, 'model "nobody" not found, try pulling it first'),
    SHOW: (404, {"model 'nobody' not found", "model 'nobody:latest' not found"}),
}


@pytest.mark.parametrize(("path", "outcome"), UNKNOWN.items(), ids=UNKNOWN)
async def test_a_model_that_no_host_has_is_judged_by_a_host(three, path, outcome):
    status, words = outcome
    answers = [await three.ask(path, model="nobody") for _ in range(3)]

    for answer in answers:
        assert answer.status_code == status
        assert answer.json()["error"] == words or answer.json()["error"] in words
        assert answer.headers["x-should-retry"] == "false"
    assert len(three.sent(path)) == 3
    assert len({host for host, _ in three.sent(path)}) == 3  # none of them alone does the work


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        (CHAT, b"{}", 400, "model is required"),
        (CHAT, b"[]", 400, "json: cannot unmarshal array into Go value of type api.ChatRequest"),
        (
            CHAT,
            b'{"model":7}',
            400,
            "json: cannot unmarshal number into Go struct field ChatRequest.model of type string",
        ),
        (GENERATE, b"{}", 404, "model '' not found"),
        (EMBED, b'{"model":""}', 404, "model '' not found"),
        (SHOW, b'{"model":null}', 400, "model is required"),
        (CHAT, b'{"model":"a/b/c/d/e"}', 400, "invalid model name"),
        (CHAT, b'{"model":"gpt-oss:120b-cloud"}', 403, "ollama cloud is disabled: remote model is unavailable"),
    ],
)
async def test_what_is_wrong_with_a_name_a_host_says(three, path, body, status, words):
    answer = await three.ask(path, body)

    assert (answer.status_code, answer.json()) == (status, {"error": words})
    assert [sent for _, sent in three.sent(path)] == [body]

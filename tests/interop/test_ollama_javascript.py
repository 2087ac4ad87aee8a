"""Ollama's own client for JavaScript: programs for Node that are told an address and a key, and no more.

They run on the gateway and, to know what should come, on the host itself.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.simulator.faults import error_line
from tests.conformance.clients.members import members
from tests.conformance.clients.proof import SEEN, Called
from tests.conformance.clients.uses import JAVASCRIPT, Way, uses
from tests.e2e.cast import SAID
from tests.e2e.programs import run
from tests.interop.installed import JS, NODE
from tests.native.calling import TIMES
from tests.native.conftest import ALICE, BOB, MISTRAL, Fleet, serving

pytestmark = pytest.mark.asyncio(loop_scope="package")

WHOLE: tuple[Way, ...] = ("async",)
BOTH: tuple[Way, ...] = ("async", "async, streamed")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "adapter.gguf"
    path.write_bytes(b"GGUF")
    return path


async def node(program: str, url: str, *, noted: bool = True, **variables: str) -> Any:
    """Run a program, note what it called, and return what it found."""
    variables = {"KEY": BOB, "KIND": "0.33", **variables}
    status, out, err = await run(NODE, str(JS / program), URL=url, NODE_OPTIONS="", **variables)
    assert err == ""
    assert status == 0
    printed = json.loads(out)
    if noted:
        SEEN.extend(
            Called(JAVASCRIPT, call["method"], frozenset(call["parameters"]), BOTH[call["streamed"]])
            for call in printed["calls"]
        )
    return printed["found"]


async def both(fleet: Fleet, program: str, kind: str) -> tuple[Any, Any]:
    """Run a program on the gateway and on the host that has the models of a kind; return what each found, but for times."""
    through = await node(program, fleet.gateway.url, KIND=kind)
    itself = await node(program, fleet.of_kind(kind).simulator.url, KIND=kind, noted=False)
    return timeless(through), timeless(itself)


def timeless(found: Any) -> Any:
    """Return what was found without what differs between two answers that are otherwise the same."""
    if isinstance(found, list):
        return [timeless(each) for each in found]
    if not isinstance(found, dict):
        return found
    made_up = {"id"} if "function" in found else set()
    return {name: timeless(value) for name, value in found.items() if name not in TIMES | made_up}


@uses(JAVASCRIPT, "chat", *members(JAVASCRIPT)["chat"].parameters, ways=BOTH)
@uses(JAVASCRIPT, "Ollama", "host", "headers", ways=WHOLE)
@pytest.mark.parametrize("kind", ["0.24", "0.33", "0.33-jinja"])
async def test_a_chat_is_that_of_the_host_itself(fleet: Fleet, kind: str) -> None:
    through, itself = await both(fleet, "ollama_chat.mjs", kind)

    assert through == itself
    assert through[0]["whole"]["message"]["content"] == SAID
    assert "".join(piece["message"]["content"] for piece in through[0]["streamed"]) == SAID


@uses(JAVASCRIPT, "generate", *members(JAVASCRIPT)["generate"].parameters, ways=BOTH)
@pytest.mark.parametrize("kind", ["0.24", "0.33", "0.33-jinja"])
async def test_a_completion_is_that_of_the_host_itself(fleet: Fleet, kind: str) -> None:
    through, itself = await both(fleet, "ollama_generate.mjs", kind)

    assert through == itself
    assert through[0]["whole"]["response"] == SAID


@uses(JAVASCRIPT, "embed", *members(JAVASCRIPT)["embed"].parameters, ways=WHOLE)
@uses(JAVASCRIPT, "embeddings", *members(JAVASCRIPT)["embeddings"].parameters, ways=WHOLE)
async def test_vectors_are_those_of_the_host_itself(fleet: Fleet) -> None:
    through, itself = await both(fleet, "ollama_embed.mjs", "0.33")

    assert through == itself
    assert len(through[0]["embeddings"][0]) == 32


@uses(JAVASCRIPT, "list", ways=WHOLE, remark="the models of all hosts, each once, and aliases")
@uses(JAVASCRIPT, "ps", ways=WHOLE, remark="an entry for each host that has it in memory")
@uses(JAVASCRIPT, "show", *members(JAVASCRIPT)["show"].parameters, ways=WHOLE, remark="by a host that has it")
@uses(JAVASCRIPT, "version", ways=WHOLE, remark="the lowest of all hosts")
@pytest.mark.parametrize("kind", ["0.24", "0.33", "0.33-jinja"])
async def test_what_there_is(fleet: Fleet, kind: str) -> None:
    through, itself = await both(fleet, "ollama_listing.mjs", kind)

    here = {model["name"]: model for model in itself["list"]["models"]}
    listed = {model["name"]: model for model in through["list"]["models"]}
    assert len(listed) == len(through["list"]["models"])
    assert set(here) < set(listed)
    assert here[f"chat:{kind}"].items() <= listed[f"chat:{kind}"].items()
    assert f"chat:{kind}" in {model["name"] for model in through["ps"]["models"]}
    assert [through["show"], through["other"]] == [itself["show"], itself["other"]]
    assert through["version"] == {"version": "0.24.0"}


@uses(JAVASCRIPT, "pull", "model", "insecure", ways=BOTH, remark="on all hosts; sizes are sums over them")
@uses(JAVASCRIPT, "push", "model", "insecure", ways=BOTH, remark="by one host that has it")
@uses(
    JAVASCRIPT,
    "create",
    *members(JAVASCRIPT)["create"].parameters,
    ways=BOTH,
    remark="on every host that has what it is made of",
)
@uses(JAVASCRIPT, "copy", "source", "destination", ways=WHOLE, remark="on every host that has it")
@uses(JAVASCRIPT, "delete", "model", ways=WHOLE, remark="on every host that has it")
async def test_models_come_and_go(weights: Path) -> None:
    async with serving() as fleet:
        digest = await fleet.alice.call("async", "create_blob", path=weights)
        found = await node("ollama_models.mjs", fleet.gateway.url, KEY=ALICE, DIGEST=digest)

        assert [fleet.with_model(name) for name in ("mistral", "mario", "small", "tuned", "alice/mistral")] == [
            ["old", "new", "jinja"],
            ["old", "new"],
            ["new"],
            ["old", "new", "jinja"],
            [],
        ]
    success, bars = {"status": "success"}, found["bars"]
    assert {bar["forward"] for bar in bars} == {True}
    assert [bar["completed"] for bar in bars] == [bar["total"] for bar in bars]
    assert MISTRAL.size * 3 in [bar["total"] for bar in bars]
    assert [found[name] for name in ("pulled", "listed", "copied", "gone")] == [success, True, success, success]
    assert found["shown"] == "You are Mario."
    for name in ("made", "small", "tuned", "pushed"):
        assert found[name]["whole"] == found[name]["streamed"][-1] == success, name
    assert found["twice"]["status_code"] == 404
    unknown = found["unknown"]
    assert (unknown["whole"]["name"], unknown["whole"]["status_code"]) == ("ResponseError", 500)
    assert unknown["whole"]["error"] == unknown["streamed"]["message"]
    assert unknown["whole"]["error"].endswith("pull model manifest: file does not exist")


@uses(JAVASCRIPT, "abort", ways=WHOLE, remark="the host stops as well")
@pytest.mark.parametrize("kind", ["0.24", "0.33", "0.33-jinja"])
async def test_a_host_does_not_work_for_a_program_that_left(fleet: Fleet, kind: str) -> None:
    host = fleet.of_kind(kind).simulator
    host.token_seconds = 0.01
    found = await node("ollama_leaving.mjs", fleet.gateway.url, KIND=kind)
    await host.wait_idle()

    assert found == {"thrown": ["AbortError", "AbortError"], "said": SAID}
    assert [request.ended for request in host.requests if request.inference] == ["cancelled", "cancelled", "complete"]


@uses(JAVASCRIPT, "ResponseError", "error", "status_code", ways=BOTH)
@pytest.mark.parametrize("kind", ["0.24", "0.33", "0.33-jinja"])
async def test_errors(fleet: Fleet, kind: str) -> None:
    fleet.of_kind(kind).simulator.script(error_line(3, "unexpected EOF", path="/api/chat", times=None))
    found = await node("ollama_errors.mjs", fleet.gateway.url, KIND=kind)

    def thrown(status: int, error: str) -> Any:
        return {"name": "ResponseError", "message": error, "error": error, "status_code": status}

    unknown = thrown(404, "model 'nobody' not found")
    wrong = thrown(500, 'option "num_ctx" must be of type integer')
    assert found["unknown"] == {"whole": unknown, "streamed": unknown}
    assert found["wrong"] == {"whole": wrong, "streamed": wrong}
    assert found["late"] == {"name": "Error", "message": "unexpected EOF"}
    assert {each["status_code"] for each in (*found["key"].values(), found["list"])} == {401}
    assert found["list"]["error"].startswith("The API key is not known here.")


@uses(JAVASCRIPT, "Ollama", "fetch", ways=WHOLE)
@uses(JAVASCRIPT, "Ollama", "proxy", ways=WHOLE, remark="paths alone, for pages that have the gateway for their host")
@uses(
    JAVASCRIPT, "webSearch", "query", "maxResults", ways=WHOLE, remark="asks ollama.com, with the key that it was given"
)
@uses(JAVASCRIPT, "webFetch", "url", ways=WHOLE, remark="asks ollama.com, with the key that it was given")
@uses(JAVASCRIPT, "systemone", *members(JAVASCRIPT)["systemone"].parameters, ways=WHOLE, remark="404: not served")
@uses(JAVASCRIPT, "encodeImage", "image", ways=WHOLE, remark="asks nobody")
async def test_what_is_asked_elsewhere(fleet: Fleet) -> None:
    found = await node("ollama_elsewhere.mjs", fleet.gateway.url)

    assert found["said"] == SAID
    assert found["asked"] == [
        {"url": "https://ollama.com/api/web_search", "key": found["key"], "body": {"query": "ollama", "maxResults": 1}},
        {"url": "https://ollama.com/api/web_fetch", "key": found["key"], "body": {"url": "https://ollama.com"}},
    ]
    assert found["systemone"]["status_code"] == 404
    assert found["image"] == "iVBORw=="

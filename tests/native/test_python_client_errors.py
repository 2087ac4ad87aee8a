"""What the client raises: a host's own words and statuses, and in the same form what the gateway itself has to say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ollama import ResponseError

from gateway.simulator.faults import Cut, Fail, Fault, busy, error_line, out_of_memory, too_long
from tests.conformance.clients.members import WHOLE
from tests.conformance.clients.uses import PYTHON, Way, uses
from tests.native.calling import Caller, outcome, text
from tests.native.conftest import BOB, Fleet

pytestmark = pytest.mark.asyncio(loop_scope="package")

HI: Any = [{"role": "user", "content": "hi"}]


@uses(PYTHON, "ResponseError", "status_code: 404", remark="a model that is not found")
@pytest.mark.parametrize(("method", "asked"), [("chat", {"messages": HI}), ("generate", {"prompt": "hi"})])
async def test_a_model_that_is_nowhere(fleet: Fleet, way: Way, method: str, asked: Any) -> None:
    found = await outcome(fleet.bob, way, method, model="nobody", **asked)

    assert found == (404, "model 'nobody' not found")
    assert found == await outcome(fleet.hosts["new"].caller, way, method, model="nobody", **asked)


@pytest.mark.parametrize("way", WHOLE)
@pytest.mark.parametrize(
    ("method", "asked", "errors"),
    [
        ("embed", {"input": "hi"}, {'model "nobody" not found, try pulling it first'}),
        ("embeddings", {"prompt": "hi"}, {'model "nobody" not found, try pulling it first'}),
        ("show", {}, {"model 'nobody' not found", "model 'nobody:latest' not found"}),
    ],
)
async def test_a_model_that_is_nowhere_and_does_not_speak(
    fleet: Fleet, way: Way, method: str, asked: Any, errors: set[str]
) -> None:
    status, error = await outcome(fleet.bob, way, method, model="nobody", **asked)

    assert status == 404
    assert error in errors


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        pytest.param(fault, status, id=name, marks=uses(PYTHON, "ResponseError", f"status_code: {status}", remark=name))
        for name, fault, status in (
            ("a prompt that exceeds the context", too_long(path="/api/chat"), 400),
            ("out of memory", out_of_memory(path="/api/chat", times=None), 500),
            ("a model that crashes", Fail(0, path="/api/chat", times=None), 500),
            ("a queue that is full", busy(path="/api/chat", times=None), 503),
        )
    ],
)
@uses(PYTHON, "ResponseError", "error", remark="the host's own words")
async def test_a_failure_of_the_host_is_told_in_its_words(
    fleet: Fleet, way: Way, kind: str, fault: Fault, status: int
) -> None:
    host, asked = fleet.of_kind(kind), {"model": f"chat:{kind}", "messages": HI}
    host.simulator.script(fault)
    through = await outcome(fleet.bob, way, "chat", **asked)
    host.simulator.heal()
    host.simulator.script(fault)
    itself = await outcome(host.caller, way, "chat", **asked)

    assert through == itself
    assert through[0] == status


LATE = error_line(3, "an error was encountered while running the model: unexpected EOF", path="/api/chat")


@pytest.mark.parametrize("way", ["sync, streamed", "async, streamed"])
@pytest.mark.parametrize("fault", [LATE, Fail(3, path="/api/chat")], ids=["a line", "a crash"])
@uses(PYTHON, "ResponseError", "status_code: -1", remark="a line of a stream that had begun")
async def test_a_failure_within_a_stream(fleet: Fleet, way: Way, kind: str, fault: Fault) -> None:
    host, asked = fleet.of_kind(kind), {"model": f"chat:{kind}", "messages": HI}
    host.simulator.script(fault)
    through = await outcome(fleet.bob, way, "chat", **asked)

    assert through == (-1, "an error was encountered while running the model: unexpected EOF")


@pytest.mark.parametrize("way", ["sync, streamed", "async, streamed"])
async def test_a_host_that_dies_within_a_stream(fleet: Fleet, way: Way, kind: str) -> None:
    """There is nobody left to say it but the gateway."""
    host = fleet.of_kind(kind).simulator
    host.script(Cut(3, end="reset", path="/api/chat"))
    with pytest.raises(ResponseError) as caught:
        await fleet.bob.call(way, "chat", model=f"chat:{kind}", messages=HI)

    assert caught.value.status_code == -1
    assert caught.value.error


FAILURES: dict[str, Callable[..., Fault]] = {
    "busy": busy,
    "out of memory": out_of_memory,
    "a connection that breaks": Cut,
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_host_that_fails_is_not_noticed_where_another_has_the_model(
    fleet: Fleet, way: Way, failure: str
) -> None:
    failing, *others = [host.simulator for host in fleet.hosts.values()]
    failing.script(FAILURES[failure](path="/api/chat", times=None))
    answers = [text(await fleet.bob.call(way, "chat", model="demo", messages=HI)) for _ in range(3)]

    ended = [request.ended for host in others for request in host.requests if request.path == "/api/chat"]
    assert {answer.partition("You said: ")[2] for answer in answers} == {"hi"}
    assert ended == ["complete"] * 3


async def test_a_host_that_dies_is_not_noticed_where_another_has_the_model(changing: Fleet, way: Way) -> None:
    *dying, last = [host.simulator for host in changing.hosts.values()]
    for host in dying:
        await host.kill()
    answers = [text(await changing.bob.call(way, "chat", model="demo", messages=HI)) for _ in range(3)]

    assert {answer.partition("You said: ")[2] for answer in answers} == {"hi"}
    assert [request.ended for request in last.requests if request.path == "/api/chat"] == ["complete"] * 3


@uses(PYTHON, "ResponseError", "status_code: 503", remark="a model whose hosts are all down")
async def test_a_model_whose_hosts_are_all_gone(changing: Fleet, way: Way) -> None:
    for host in changing.hosts.values():
        await host.simulator.kill()
    await changing.gateway.seen()
    with pytest.raises(ResponseError) as caught:
        await changing.bob.call(way, "chat", model="demo", messages=HI)

    assert caught.value.status_code == 503
    assert "demo" in caught.value.error


async def test_a_gateway_that_is_not_there(way: Way) -> None:
    """The client has its own error for a connection that is refused, unless it streams."""
    async with Caller("http://127.0.0.1:1", BOB) as caller:
        with pytest.raises(Exception, match=r"Failed to connect|refused|attempts failed") as caught:
            await caller.call(way, "chat", model="demo", messages=HI)

    assert isinstance(caught.value, ConnectionError) == (way in WHOLE)

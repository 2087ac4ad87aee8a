"""What a real Ollama answered comes through the gateway byte for byte, from a host that answers with the recording.

Every recording of the native API is either replayed here or stands in `LEFT_OUT` with the reason.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest
import pytest_asyncio

from adapters.ollama.native import request as native
from gateway.fleet import prober
from gateway.simulator import SimulatedRequest, Simulator
from gateway.simulator.faults import End
from tests.gateway.simulator.tiny import tiny_models
from tests.running import Running, running

in_one_loop = pytest.mark.asyncio(loop_scope="module")

ROOT = Path(__file__).parents[1] / "recordings"

PATHS = (native.CHAT, native.GENERATE, native.EMBED, native.EMBEDDINGS, native.SHOW)

VERSIONS = {"0.24": "0.24.0", "0.33": "0.33.0"}

LEFT_OUT = {
    "*/ps-*": "what is in the memory of a particular machine; the gateway merges what its hosts say, in its own words",
    "*/busy-ps": "the same",
    "*/tags*": "the models of a particular machine; the gateway merges what its hosts say, in its own words",
    "*/busy-tags": "the same",
    "*/misc-cors-*": "which pages of the web may call is the gateway's own to decide: `cors.origins`",
    "*/misc-host-foreign": "which names the gateway answers to is its own to decide, and it says why it does not",
    "*/misc-unknown-path-post": "no path of the native API",
    "*/*-cut-by-client": "the caller left in the middle: tests/native/failing/test_leaving.py",
}
"""Recordings that are not replayed, with the reason."""

ANSWERED_HERE = {
    "*-empty-body": "a body that is no JSON goes to no host",
    "*-malformed": "the same",
    "*/chat-error-not-json": "the same",
    "*/misc-wrong-method-*": "the gateway knows the paths that it serves, and their methods",
    "*/misc-options-no-origin": "the same",
    "*/misc-trailing-slash": "the same",
    "*/misc-host-localhost": "the same as the version",
    "*/misc-root-*": "the gateway lives by itself",
    "*/*-version*": "the lowest of all hosts",
    "*/blobs-*-bad-digest": "what is no digest may be no path of a host",
}
"""Recordings that the gateway repeats without a host, with the reason."""

ADDED = {"retry-after": "when a busy host may be asked again, which Ollama does not tell"}
"""Headers that the gateway adds, beside those that begin with `x-`."""

OF_A_CONNECTION = {"date", "content-length", "transfer-encoding", "connection", "keep-alive"}
"""Headers that belong to one connection."""


class Exchange(NamedTuple):
    """A recording.

    Attributes:
        version: Which Ollama answered.
        request: What was asked.
        body: The body that was sent, byte for byte.
        answer: What came back.
        pieces: The pieces in which the body came: the lines of a stream, each with its line feed, or the whole.
    """

    version: str
    request: dict[str, Any]
    body: bytes
    answer: dict[str, Any]
    pieces: list[bytes]

    @property
    def method(self) -> str:
        return str(self.request["method"])

    @property
    def path(self) -> str:
        return str(self.request["path"])

    @property
    def is_complete(self) -> bool:
        return bool(self.answer["end"] == "complete")

    @property
    def is_passed_on(self) -> bool:
        """Whether a host must get the very bytes that were sent: for inference, unless a null makes them ambiguous."""
        return self.path in PATHS and b"null" not in self.body

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The headers that are part of the answer itself."""
        return comparable(self.answer["headers"])

    @property
    def raw(self) -> bytes:
        """The whole answer as it went over the wire."""
        headers = self.answer["headers"]
        lines = [f"HTTP/1.1 {self.answer['status']} Recorded", *(f"{name}: {value}" for name, value in headers)]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        if ["Transfer-Encoding", "chunked"] not in headers:
            return head + b"".join(self.pieces)
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in self.pieces)
        return head + chunks + (b"0\r\n\r\n" if self.is_complete else b"")


def exchange(name: str) -> Exchange:
    recording = json.loads((ROOT / f"{name}.json").read_text())
    request, answer = recording["request"], recording["response"]
    pieces = [piece["text"].encode() for piece in answer["body"]]
    if ["Content-Type", "application/x-ndjson"] in answer["headers"]:
        pieces = [piece + b"\n" for piece in pieces]
    body = b"" if request.get("body") is None else json.dumps(request["body"], ensure_ascii=False, indent=1).encode()
    return Exchange(name.partition("/")[0], request, request.get("body_text", "").encode() or body, answer, pieces)


def comparable(headers: Any) -> list[tuple[str, str]]:
    """Return headers without those of a connection, and without those that the gateway adds."""
    left_out = OF_A_CONNECTION | ADDED.keys()
    lower = [(name.lower(), value) for name, value in headers]
    return sorted((name, value) for name, value in lower if name not in left_out and not name.startswith("x-"))


NAMES = [f"{file.parent.name}/{file.stem}" for file in sorted(ROOT.glob("*/*.json"))]
REPLAYED = [name for name in NAMES if not any(fnmatchcase(name, pattern) for pattern in LEFT_OUT)]
WHOLE = [name for name in REPLAYED if exchange(name).is_complete]
BROKEN = [name for name in REPLAYED if name not in WHOLE]


class Host(Simulator):
    """A host with the models of the recordings, which answers one request with a recording."""

    recorded: Exchange | None = None

    def __init__(self, version: str) -> None:
        super().__init__(version=version, models=tiny_models)
        self.replayed: list[bytes] = []

    async def answer(self, request: SimulatedRequest, *, keep_alive: bool) -> AsyncGenerator[bytes | End, None]:
        recorded = self.recorded
        if recorded is None or (request.method, request.path) != (recorded.method, recorded.path):
            async for step in super().answer(request, keep_alive=keep_alive):
                yield step
            return
        self.replayed.append(request.body)
        yield recorded.raw
        yield "keep" if recorded.is_complete else "reset"


class Replay:
    """A host that answers with recordings, and the gateway before it."""

    def __init__(self, host: Host, gateway: Running) -> None:
        self.host = host
        self.gateway = gateway

    async def answer(self, recorded: Exchange) -> httpx2.Response:
        """Ask the gateway for what was asked, while the host answers what was answered."""
        self.host.replayed.clear()
        self.host.recorded = recorded
        method, path, headers = recorded.method, recorded.path, recorded.request["headers"]
        return await self.gateway.client.request(method, path, content=recorded.body, headers=headers)


@pytest.fixture(scope="module", autouse=True)
def _no_pause() -> Iterator[None]:
    """Let hosts be looked at as often as there is a reason."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prober, "PAUSE", 0.0)
        yield


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def replays(_no_pause: None) -> AsyncIterator[dict[str, Replay]]:
    old, new = (Host(version) for version in VERSIONS.values())
    async with old, new, running(old) as before_old, running(new) as before_new:
        yield dict(zip(VERSIONS, (Replay(old, before_old), Replay(new, before_new)), strict=True))


def test_every_recording_is_replayed_or_left_out_for_a_reason() -> None:
    assert [pattern for pattern in LEFT_OUT if not any(fnmatchcase(name, pattern) for name in NAMES)] == []
    assert (len(NAMES), len(WHOLE), len(BROKEN)) == (807, 749, 2)


@in_one_loop
@pytest.mark.parametrize("name", WHOLE)
async def test_an_answer_comes_through_byte_for_byte(name: str, replays: dict[str, Replay]) -> None:
    recorded = exchange(name)
    replay = replays[recorded.version]
    answer = await replay.answer(recorded)

    assert answer.status_code == recorded.answer["status"]
    assert answer.content == b"".join(recorded.pieces)
    assert comparable(answer.headers.multi_items()) == recorded.headers
    assert len(replay.host.replayed) == (not any(fnmatchcase(name, pattern) for pattern in ANSWERED_HERE))
    if recorded.is_passed_on:
        assert all(body == recorded.body for body in replay.host.replayed)


@in_one_loop
@pytest.mark.parametrize("name", BROKEN)
async def test_an_answer_that_breaks_off_ends_in_an_error_line(name: str, replays: dict[str, Replay]) -> None:
    recorded = exchange(name)
    answer = await replays[recorded.version].answer(recorded)
    *lines, last = answer.content.splitlines(keepends=True)

    assert (answer.status_code, comparable(answer.headers.multi_items())) == (200, recorded.headers)
    assert lines == recorded.pieces
    assert list(json.loads(last)) == ["error"]

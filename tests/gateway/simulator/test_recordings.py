"""The simulator against recordings of real hosts: the same request must be answered with the same bytes.

What cannot be the same is made equal first: times, durations, ids, digests, sizes, vectors. Recordings that are not
reached stand in `LEFT_OUT` with the reason.
"""

from __future__ import annotations

import asyncio
import fnmatch
import itertools
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.simulator import Broken, Corrupt, PlainHTTP, Registry, SimulatedModel, Simulator, Unreachable
from gateway.simulator.disk import Blob
from gateway.simulator.faults import Cut, Fail
from tests.gateway.simulator.client import Received, ask
from tests.gateway.simulator.tiny import tiny_chat, tiny_models

RECORDINGS = Path(__file__).parents[2] / "recordings"

LEFT_OUT = {
    "0.24/embed-chat-model": "the two engines of 0.24 are not told apart; chat models embed with the older one",
}


def recordings() -> list[str]:
    return sorted(f"{path.parent.name}/{path.stem}" for path in RECORDINGS.glob("0.*/*.json"))


def left_out(name: str) -> str | None:
    return next((reason for pattern, reason in LEFT_OUT.items() if fnmatch.fnmatch(name, pattern)), None)


def load(name: str) -> dict[str, Any]:
    recording: dict[str, Any] = json.loads((RECORDINGS / f"{name}.json").read_text())
    return recording


# --- what is made equal -----------------------------------------------------------------------------------------------

_EQUAL: list[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]] = [
    (
        re.compile(r'"(created_at|modified_at|expires_at)":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,8}[1-9])?Z"'),
        r'"\1":"T"',
    ),
    (re.compile(r'"(\w+_duration)":[1-9]\d*'), r'"\1":"D"'),
    (re.compile(r'"id":"call_[a-z0-9]{8}"'), '"id":"call_ID"'),
    (re.compile(r'"id":"[A-Za-z0-9]{32}"'), '"id":"ID"'),
    (re.compile(r"[0-9a-f]{64}"), "HASH"),
    (re.compile(r'"(pull|push)ing [0-9a-f]{12}"'), r'"\1ing LAYER"'),
    (re.compile(r'"size":[1-9]\d*'), '"size":"SIZE"'),
    (re.compile(r'"total":([1-9]\d*),"completed":\1}'), '"total":"SIZE","completed":"SIZE"}'),
    (re.compile(r'"parent_model":"[^"]*"'), '"parent_model":"PARENT"'),
    (re.compile(r'"context":\[[\d,]+\]'), '"context":"TOKENS"'),
    (re.compile(r"\[-?\d[\de.-]*(?:,-?\d[\de.-]*){7,}\]"), lambda vector: f'"{vector[0].count(",") + 1} NUMBERS"'),
    (re.compile(r'"logprob":(-\d+\.\d+)'), lambda number: f'"logprob":{float(number[1]):.6f}'),
]

_BY_CHANCE = re.compile(r"(Red|Blue|Green|Gold) (fox|owl|cat|elk) (runs|sits|hums|naps)")

_TOKENS_DIFFER = ("*/generate-context-round-trip", "0.24/chat-think-*", "0.24/generate-think-*")
"""Recordings whose prompt is made of tokens that only the real model knows, or that 0.24's newer engine makes longer."""


def equal(name: str, text: str) -> str:
    """Return a line of a body with all that may differ made equal."""
    short = name.partition("/")[2]
    for pattern, replacement in _EQUAL:
        text = pattern.sub(replacement, text)
    if short in ("chat-options-seed-1", "chat-options-seed-2", "chat-top-logprobs-without-logprobs"):
        text = _BY_CHANCE.sub("BY CHANCE", text)
    if any(fnmatch.fnmatch(name, pattern) for pattern in _TOKENS_DIFFER):
        text = re.sub(r'"prompt_eval_count":\d+', '"prompt_eval_count":"N"', text)
    if short == "chat-tools-rich-arguments":  # a real host changes their order from call to call
        text = json.dumps(json.loads(text), sort_keys=True)
    if short.startswith("show-") and '"error"' not in text:
        text = json.dumps(_shown(json.loads(text)))
    if short.startswith(("tags", "busy-tags", "ps-", "busy-ps")) and text:
        text = json.dumps(_listed(json.loads(text)))
    return text


def _shown(answer: dict[str, Any]) -> dict[str, Any]:
    """Keep of a model's templates and weights only that they are told."""
    different = ("modelfile", "template", "model_info", "tensors")
    shown = {key: type(value).__name__ if key in different else value for key, value in answer.items()}
    modelfile = answer["modelfile"].splitlines()
    return shown | {
        "jinja": answer["template"].startswith("{%"),
        "capabilities": sorted(answer["capabilities"]),
        "modelfile": [line for line in modelfile if line.startswith(("#", "FROM", "SYSTEM", "PARAMETER", "LICENSE"))],
    }


def _listed(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Put a listing in order: a real one's goes by times, of models and of their capabilities by chance."""
    for model in answer["models"]:
        if "capabilities" in model:
            model["capabilities"].sort()
    return sorted(answer["models"], key=lambda model: str(model["name"]))


_PROGRESS = ("*/pull-ok-stream", "*/pull-wrong-digest", "*/push-ok-stream", "*/create-quantize", "*/create-files-gguf")
"""Recordings that tell how far something has come; how often and how far at which moment is chance."""

_COMPLETED = re.compile(r'(?:,"total":\d+)?(?:,"completed":\d+)?}\Z')


def without_repetition(name: str, texts: list[str]) -> list[str]:
    """Keep one line of progress for each thing that progresses."""
    if not any(fnmatch.fnmatch(name, pattern) for pattern in _PROGRESS):
        return texts
    return [text for text, _ in itertools.groupby(_COMPLETED.sub("}", text) for text in texts)]


def headers_of(headers: list[list[str]] | list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, "…" if name in ("Date", "Content-Length") else value) for name, value in headers]


# --- the state a recording was made in --------------------------------------------------------------------------------


class NotPreparedError(Exception):
    """The simulator does not get into the state in which a recording was made."""


BEFORE = {
    "create-again": ("create-from-stream",),
    "chat-made-3": ("create-system-parameters-template",),
    "show-made-3": ("create-system-parameters-template",),
    "chat-jinja-with-template": ("create-jinja-with-template",),
    "show-jinja-with-template": ("create-jinja-with-template",),
    "ps-jinja-shared-runner*": ("create-from-nostream", "create-jinja-with-template"),
    "create-files-not-a-model": ("blobs-post-created",),
    "blobs-post-again": ("blobs-post-created",),
    "blobs-head-exists": ("blobs-post-created",),
    "delete-ok": ("copy-ok",),
    "delete-name-field": ("create-name-field",),
    "delete-loaded": ("create-from-nostream",),
    "ps-after-delete": ("create-from-nostream",),
    "push-ok-*": ("copy-to-registry-name",),
    "push-unreachable": ("copy-to-dead-registry-name",),
}
"""The recorded requests whose effect another builds on."""

LOADED = {"ps-after-delete": ("delete-loaded",), "ps-jinja-shared-runner-after": ("chat-jinja-shared-runner",)}
"""The same for those that came after what a listing shows was loaded."""

GGUF = "sha256:d0ac7f7d1b102c97b50291ccf3e803bd28f0a7d35147670540626f402b9914f1"
"""The blob that one model was made from."""


def of(table: Mapping[str, tuple[str, ...]], name: str) -> list[str]:
    version, _, short = name.partition("/")
    return [f"{version}/{each}" for pattern in table if fnmatch.fnmatch(short, pattern) for each in table[pattern]]


def models_of(version: str) -> list[SimulatedModel]:
    return [
        model for model in tiny_models if version == "0.33" or not model.name.startswith(("tiny-native", "tiny-unl"))
    ]


def registry_of(version: str) -> Registry:
    """Return the small registry that stood in for all others."""
    place = f"127.0.0.1:{21480 if version == '0.33' else 21490}/tiny"
    pulled = replace(  # no layer of it is on the disk already
        tiny_chat,
        name=f"{place}/pulled",
        template="{{ range .Messages }}{{ .Content }}{{ end }}",
        parameters={"num_thread": 2},
        licenses=(),
        parameter_size="1.44M",
    )
    wrong = SimulatedModel(name=f"{place}/wrong", path="native", size=100)
    registry = Registry(pulled, wrong)
    registry.fail(pulled.name, PlainHTTP())
    registry.fail(wrong.name, Corrupt())
    registry.fail(f"{place}/fails", Broken())
    registry.fail("127.0.0.1:9/x/y", Unreachable())
    return registry


@asynccontextmanager
async def prepared(name: str, recording: dict[str, Any]) -> AsyncIterator[Simulator]:
    """Run a simulator in the state in which a recording was made."""
    version, _, short = name.partition("/")
    models, registry = models_of(version), registry_of(version)
    if short.startswith(("chat-pulled", "pull-again")):
        models += registry.models.values()
    full_version = f"{version}.0"
    if short.startswith("busy-"):
        simulator = Simulator(models=models, version=full_version, parallel=1, max_queue=1, max_loaded=1)
        async with busy(simulator, waits="waited" in short):
            yield simulator
        return
    # A hundred bytes came so quickly that the newer host had nothing to tell of them.
    steps = 0 if name == "0.33/pull-wrong-digest" else 8
    async with Simulator(
        models=models, registry=registry, version=full_version, max_loaded=10, pull_steps=steps
    ) as simulator:
        simulator.stored[GGUF] = Blob(46528, b"GGUF")
        await repeat_all(simulator, of(BEFORE, name))
        if short.startswith("ps-"):
            await load_models(simulator, recording)
        await repeat_all(simulator, of(LOADED, name))
        lines = len(recording["response"]["body"])
        if short.startswith("broken-runner") and short != "broken-runner-after":
            simulator.script(Fail(lines - 1))
        if short == "broken-server-stopped-stream":
            simulator.script(Cut(lines, end="close"))
        yield simulator


async def repeat_all(simulator: Simulator, names: list[str]) -> None:
    for name in names:
        recording = load(name)
        received = await repeat(simulator, recording)
        assert received.status == recording["response"]["status"], received


@asynccontextmanager
async def busy(simulator: Simulator, *, waits: bool) -> AsyncIterator[None]:
    """Keep one model in use; let another wait for its place and one more in the queue, or give way to who waits."""
    users: list[asyncio.Task[Any]] = []

    async def use(model: str) -> None:
        body = {"model": model, "messages": [{"role": "user", "content": "endless"}]}
        users.append(asyncio.create_task(ask(simulator.url, "POST", "/api/chat", body)))
        await simulator.wait_until(lambda: len(simulator.requests) == len(users))

    async def give_way() -> None:
        await simulator.wait_until(lambda: len(simulator.requests) == 2)
        await asyncio.sleep(0.02)
        assert simulator.requests[1].ended is None
        users[0].cancel()

    async with simulator:
        await use("tiny-chat")
        await simulator.wait_until(lambda: simulator.in_flight == 1)
        if waits:
            users.append(asyncio.create_task(give_way()))
        else:
            await use("tiny-brace")
            await use("tiny-plain")
        yield
        for user in users:
            user.cancel()
        await asyncio.gather(*users, return_exceptions=True)


async def load_models(simulator: Simulator, recording: dict[str, Any]) -> None:
    """Load what a recorded listing shows, for as long as it shows."""
    headers = dict(recording["response"]["headers"])
    asked_at = parsedate_to_datetime(headers["Date"])
    for model in json.loads(recording["response"]["body"][0]["text"])["models"]:
        stays = (datetime.fromisoformat(model["expires_at"][:19] + "+00:00") - asked_at).total_seconds()
        path = "/api/embed" if "embed" in model["name"] else "/api/chat"
        body = {
            "model": model["name"],
            "keep_alive": -1 if stays > 1e9 else stays + 1,
            "options": {"num_ctx": model["context_length"]},
        }
        received = await ask(simulator.url, "POST", path, body)
        if received.status != 200:
            raise NotPreparedError(received.body.decode())


async def repeat(simulator: Simulator, recording: dict[str, Any]) -> Received:
    """Send a recorded request."""
    request = recording["request"]
    body = request["body_text"].encode() if "body_text" in request else request.get("body")
    headers = list((request.get("headers") or {}).items())
    most = len(recording["response"]["body"]) if recording["response"]["end"] == "cut by the client" else None
    return await ask(simulator.url, request["method"], request["path"], body, headers=headers, most=most)


async def difference(name: str) -> str | None:
    """Return how the simulator's answer differs from the recorded one."""
    recording = load(name)
    expected = recording["response"]
    try:
        async with prepared(name, recording) as simulator:
            received = await repeat(simulator, recording)
            if received.ended == "left":
                await simulator.wait_until(lambda: simulator.cancelled == 1)
    except NotPreparedError as error:
        return str(error)
    ending = {"complete": "complete", "cut by the client": "left"}.get(expected["end"], "close")
    chunked = ["Transfer-Encoding", "chunked"] in expected["headers"]
    ndjson = ["Content-Type", "application/x-ndjson"] in expected["headers"]
    texts = [piece.decode() for piece in received.pieces]
    if chunked and not ndjson:
        texts = ["".join(texts)]  # a long body in chunks of any size
    if ndjson and not all(text.endswith("\n") and text.count("\n") == 1 for text in texts):
        return f"not one line a chunk: {texts}"
    if ndjson:
        texts = without_repetition(name, [text.removesuffix("\n") for text in texts])
    recorded = without_repetition(name, [item["text"] for item in expected["body"]])
    pairs = {
        "status": (expected["status"], received.status),
        "headers": (headers_of(expected["headers"]), headers_of(received.headers)),
        "ending": (ending, received.ended),
        "body": ([equal(name, text) for text in recorded], [equal(name, text) for text in texts]),
    }
    for what, (wanted, got) in pairs.items():
        if wanted != got:
            return f"{what}:\nreal:      {wanted}\nsimulated: {got}"
    return None


@pytest.mark.parametrize("name", [name for name in recordings() if left_out(name) is None])
async def test_a_recorded_request_gets_the_recorded_answer(name: str) -> None:
    assert await difference(name) is None


@pytest.mark.parametrize("name", [name for name in recordings() if left_out(name) is not None])
async def test_a_recording_that_is_left_out_would_not_pass(name: str) -> None:
    assert await difference(name) is not None


@pytest.mark.parametrize("pattern", LEFT_OUT)
def test_what_is_left_out_exists(pattern: str) -> None:
    assert fnmatch.filter(recordings(), pattern)

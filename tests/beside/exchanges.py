"""Answers of both sides, read by the same code."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.simulator import Simulator
from tests.running import Running

ROOT = Path(__file__).parents[1] / "recordings"
VERSIONS = ("0.24", "0.33")
DONE = "data: [DONE]"


class Answer:
    """An answer of either side.

    Attributes:
        status: Its status.
        headers: Its headers, by name in lower case.
        parts: Its events, for a stream; else the one body.
    """

    def __init__(self, status: int, headers: dict[str, str], parts: list[str]) -> None:
        self.status = status
        self.headers = headers
        self.parts = parts

    @property
    def text(self) -> str:
        """The whole body of an answer that is no stream."""
        return "".join(self.parts)

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.text)

    @property
    def error(self) -> Any:
        """What is wrong, in an answer that says so in OpenAI's form."""
        return self.json["error"]

    @property
    def choice(self) -> Any:
        """The one choice of an answer."""
        [choice] = self.json["choices"]
        return choice

    @property
    def message(self) -> Any:
        """The message of the one choice."""
        return self.choice["message"]

    @property
    def usage(self) -> Any:
        """What was counted."""
        return self.json["usage"]

    @property
    def has_end_mark(self) -> bool:
        """Whether a stream ends with `[DONE]`."""
        return self.parts[-1] == DONE

    @property
    def chunks(self) -> list[Any]:
        """The events of a stream without its end mark."""
        return [json.loads(part.removeprefix("data: ")) for part in self.parts if part != DONE]

    @property
    def choices(self) -> list[Any]:
        """The choices in all chunks of a stream."""
        return [choice for chunk in self.chunks for choice in chunk.get("choices", ())]

    @property
    def deltas(self) -> list[Any]:
        """The deltas in all chunks of a stream."""
        return [choice["delta"] for choice in self.choices]


class Theirs(Answer):
    """What Ollama's own `/v1` answered.

    Attributes:
        version: Which Ollama: `0.24` or `0.33`.
        method: How it was asked.
        path: What was asked.
    """

    def __init__(self, name: str) -> None:
        exchange = json.loads((ROOT / f"{name}.json").read_text())
        answer = exchange["response"]
        headers = {header.lower(): value for header, value in answer["headers"]}
        super().__init__(answer["status"], headers, [part["text"] for part in answer["body"]])
        self.version = name.partition("/")[0]
        self.method: str = exchange["request"]["method"]
        self.path: str = exchange["request"]["path"]
        self._body = exchange["request"].get("body")

    @property
    def asked(self) -> Any:
        """What was asked: the body, which a test may change; None when there was none."""
        return deepcopy(self._body)


class Ours:
    """The gateway in front of a simulated host of the same version, with models that say the same.

    Attributes:
        host: The simulated host.
        gateway: The gateway.
    """

    def __init__(self, host: Simulator, gateway: Running) -> None:
        self.host = host
        self.gateway = gateway

    async def answer(self, theirs: Theirs, **changes: Any) -> Answer:
        """Ask for what Ollama was asked for, word for word but for the changes; a field that is None is left out."""
        body = theirs.asked
        if body is not None:
            body = {key: value for key, value in {**body, **changes}.items() if value is not None}
        return await self.ask(theirs.method, theirs.path, body)

    async def ask(self, method: str, path: str, body: Any = None) -> Answer:
        """Ask for anything."""
        return answer_of(await self.gateway.client.request(method, path, json=body))

    def sent(self, path: str = "/api/chat") -> list[Any]:
        """The bodies of the native calls that the host got."""
        return [request.json for request in self.host.requests if request.path == path]


def answer_of(response: httpx2.Response) -> Answer:
    """Return an answer of the gateway as recordings are written down."""
    stream = response.headers.get("content-type", "").startswith("text/event-stream")
    parts = response.text.split("\n\n")[:-1] if stream else [response.text]
    return Answer(response.status_code, dict(response.headers), parts)


def recorded(*names: str) -> list[str]:
    """Return the recordings with these names.

    A name such as `chat-n-two` stands for the recordings of both versions, `0.33/chat-overflow` for the one.
    """
    return [
        f"{version}/v1/{name.removeprefix(f'{version}/')}"
        for name in names
        for version in VERSIONS
        if "/" not in name or name.startswith(f"{version}/")
    ]


def beside(*names: str) -> pytest.MarkDecorator:
    """Give a test these recordings (see `recorded`) as `theirs`, one after the other, and the gateway as `ours`."""
    return pytest.mark.parametrize("theirs", recorded(*names), indirect=True)

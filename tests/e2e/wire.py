"""What goes over the wire between the SDK and a gateway, kept and judged.

The SDK builds its objects without looking at them. Here its own types judge every byte that it got, strictly.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.e2e import completing, embedding

DONE = b"data: [DONE]\n\n"

SEEN: list[Answer] = []
"""Every answer that the running test got, by whichever caller."""


class Answer:
    """An answer of the gateway as the SDK got it.

    Attributes:
        method: How it was asked.
        path: What was asked.
        asked: The body of the request; None for none.
        headers: Of the answer.
        status: Of the answer.
        body: As much of it as the SDK read.
        whole: Whether that was all of it.
    """

    def __init__(self, request: httpx2.Request, response: httpx2.Response) -> None:
        self.method = request.method
        self.path = request.url.path
        self.asked: Any = json.loads(request.content) if request.content else None
        self.headers = response.headers
        self.status = response.status_code
        self.body = b""
        self.whole = False
        SEEN.append(self)

    @property
    def streamed(self) -> bool:
        """Whether it is a stream of events."""
        return self.headers["content-type"].startswith("text/event-stream")

    @property
    def data(self) -> list[Any]:
        """What it says: the data of the events that came whole, without the end mark, or the one body."""
        if not self.streamed:
            return [json.loads(self.body)]
        events = self.body.removesuffix(DONE).split(b"\n\n")[:-1]
        return [json.loads(event.removeprefix(b"data: ")) for event in events]

    def judge(self) -> None:
        """Hold the answer to what OpenAI would have sent (wire.md 11.1, 11.3)."""
        assert self.headers["x-request-id"]
        if self.status != 200:
            if self.whole:  # the SDK does not read what it asks for once more
                _judge_error(json.loads(self.body))
        elif self.path == "/v1/completions":
            completing.judge(self)
        elif self.path == "/v1/embeddings":
            embedding.judge(self)
        elif self.streamed:
            self._judge_stream()
        elif self.path == "/v1/chat/completions" and self.whole:
            completion = ChatCompletion.model_validate_json(self.body, strict=True)
            assert completion.model == self.asked["model"]

    def _judge_stream(self) -> None:
        data = self.data
        if data and "error" in data[-1]:
            _judge_error(data.pop())
            assert not self.body.endswith(DONE)
        elif self.body.endswith(DONE):
            self._judge_end(data)
        else:
            assert not self.whole, "the stream just stopped"
        chunks = [ChatCompletionChunk.model_validate_json(json.dumps(each), strict=True) for each in data]
        if not chunks:
            return
        assert len({(chunk.id, chunk.created, chunk.system_fingerprint) for chunk in chunks}) == 1
        assert {chunk.model for chunk in chunks} == {self.asked["model"]}
        for index in {choice.index for chunk in chunks for choice in chunk.choices}:
            deltas = [choice.delta for chunk in chunks for choice in chunk.choices if choice.index == index]
            assert [delta.role for delta in deltas] == ["assistant"] + [None] * (len(deltas) - 1)

    def _judge_end(self, data: list[Any]) -> None:
        """A whole stream: one finish a choice, on an empty delta; usage at the end when asked for, and announced before."""
        wanted = (self.asked.get("stream_options") or {}).get("include_usage", False)
        *chunks, last = data
        if wanted:
            assert last["choices"] == []
            assert last["usage"]["total_tokens"] == last["usage"]["prompt_tokens"] + last["usage"]["completion_tokens"]
            assert [chunk["usage"] for chunk in chunks] == [None] * len(chunks)
            *chunks, last = chunks
        else:
            assert not any("usage" in chunk for chunk in data)
        choices = [choice for chunk in (*chunks, last) for choice in chunk["choices"]]
        assert {len(chunk["choices"]) for chunk in (*chunks, last)} == {1}
        assert {choice["index"] for choice in choices} == set(range(self.asked.get("n") or 1))
        for index in range(self.asked.get("n") or 1):
            *before, end = (choice for choice in choices if choice["index"] == index)
            assert end["delta"] == {}
            assert end["finish_reason"] in ("stop", "length", "tool_calls", "function_call")
            assert {choice["finish_reason"] for choice in before} == {None}


def _judge_error(body: Any) -> None:
    assert list(body) == ["error"]
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["message"]


class Tap(httpx2.BaseTransport):
    """A transport that keeps every answer."""

    def __init__(self, answers: list[Answer]) -> None:
        self._answers = answers
        self._transport = httpx2.HTTPTransport()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """See httpx2."""
        response = self._transport.handle_request(request)
        answer = Answer(request, response)
        self._answers.append(answer)
        assert isinstance(response.stream, httpx2.SyncByteStream)
        return _with(response, _Stream(response.stream, answer))

    def close(self) -> None:
        """See httpx2."""
        self._transport.close()


class AsyncTap(httpx2.AsyncBaseTransport):
    """The same for an asynchronous client."""

    def __init__(self, answers: list[Answer]) -> None:
        self._answers = answers
        self._transport = httpx2.AsyncHTTPTransport(limits=httpx2.Limits(max_connections=None))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """See httpx2."""
        response = await self._transport.handle_async_request(request)
        answer = Answer(request, response)
        self._answers.append(answer)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        return _with(response, _AsyncStream(response.stream, answer))

    async def aclose(self) -> None:
        """See httpx2."""
        await self._transport.aclose()


def _with(response: httpx2.Response, stream: httpx2.SyncByteStream | httpx2.AsyncByteStream) -> httpx2.Response:
    return httpx2.Response(
        response.status_code, headers=response.headers, stream=stream, extensions=response.extensions
    )


class _Stream(httpx2.SyncByteStream):
    def __init__(self, stream: httpx2.SyncByteStream, answer: Answer) -> None:
        self._stream = stream
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        for data in self._stream:
            self._answer.body += data
            yield data
        self._answer.whole = True

    def close(self) -> None:
        self._stream.close()


class _AsyncStream(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, answer: Answer) -> None:
        self._stream = stream
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for data in self._stream:
            self._answer.body += data
            yield data
        self._answer.whole = True

    async def aclose(self) -> None:
        await self._stream.aclose()

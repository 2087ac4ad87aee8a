"""OpenAI's SDK as the caller of a gateway, in both of its forms."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from openai import DEFAULT_MAX_RETRIES, AsyncOpenAI, OpenAI, Stream
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from gateway.simulator import Simulator
from tests.e2e.wire import Answer, AsyncTap, Tap
from tests.running import HostSettings, Running, eventually, running

WAYS = ("sync", "sync, streamed", "async", "async, streamed")
"""The ways in which the SDK can ask for a chat; what comes back is the same."""


class Caller:
    """The SDK on one gateway, with its own defaults, its retries among them.

    Attributes:
        gateway: The gateway.
        client: The asynchronous client.
        sync: The other one, which must not be used in the event loop's thread.
        answers: Every answer that either of them got.
    """

    def __init__(self, gateway: Running, api_key: str = "none") -> None:
        self.gateway = gateway
        self.answers: list[Answer] = []
        url = f"{gateway.url}/v1"
        self._http = httpx2.Client(transport=Tap(self.answers), timeout=20)
        self._async_http = httpx2.AsyncClient(transport=AsyncTap(self.answers), timeout=20)
        self.sync = OpenAI(base_url=url, api_key=api_key, http_client=self._http)
        self.client = AsyncOpenAI(base_url=url, api_key=api_key, http_client=self._async_http)

    async def ask(self, way: str, *, retries: int = DEFAULT_MAX_RETRIES, **fields: Any) -> ChatCompletion:
        """Ask for a chat, and return the whole of it; a stream is put together by the SDK's own accumulator."""
        in_a_thread: Any = self.sync.with_options(max_retries=retries).chat.completions.create
        create: Any = self.client.with_options(max_retries=retries).chat.completions.create
        streamed = {**fields, "stream": True, "stream_options": {"include_usage": True}}
        match way:
            case "sync":
                completion = await asyncio.to_thread(in_a_thread, **fields)
            case "sync, streamed":
                completion = await asyncio.to_thread(lambda: _put_together(in_a_thread(**streamed)))
            case "async":
                completion = await create(**fields)
            case _:
                state = ChatCompletionStreamState[None]()
                async with await create(**streamed) as stream:
                    async for chunk in stream:
                        state.handle_chunk(chunk)
                completion = state.current_completion_snapshot
        assert isinstance(completion, ChatCompletion)
        return completion

    async def close(self) -> None:
        """Close all connections."""
        self._http.close()
        await self._async_http.aclose()

    def judge(self) -> None:
        """Hold every answer to what OpenAI would have sent."""
        for answer in self.answers:
            answer.judge()


def _put_together(stream: Stream[ChatCompletionChunk]) -> ChatCompletion:
    state = ChatCompletionStreamState[None]()
    with stream:
        for chunk in stream:
            state.handle_chunk(chunk)
    return state.current_completion_snapshot


def said(text: str) -> list[Any]:
    """Return a conversation of one message of the user."""
    return [{"role": "user", "content": text}]


@asynccontextmanager
async def calling(
    *hosts: Simulator | HostSettings, demo: Simulator | None = None, api_key: str = "none", **settings: Any
) -> AsyncIterator[Caller]:
    """Serve in front of these hosts, and call. Afterwards every answer is judged, and nothing may still be running."""
    async with running(*hosts, demo=demo, **settings) as gateway:
        caller = Caller(gateway, api_key)
        try:
            yield caller
        finally:
            await caller.close()
        await eventually(lambda: gateway.in_flight() == 0)
        caller.judge()

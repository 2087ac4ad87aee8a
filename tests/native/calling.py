"""The `ollama` client for Python, in both of its forms and every way of asking."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Self

from ollama import AsyncClient, Client, Message, Options, ResponseError
from pydantic import BaseModel

from tests.conformance.clients.proof import SEEN, Called
from tests.conformance.clients.uses import PYTHON, Way

TIMES = {"created_at", "total_duration", "load_duration", "prompt_eval_duration", "eval_duration"}
"""What differs between two answers that are otherwise the same."""


class Caller:
    """The client on one address.

    Args:
        url: The address.
        key: What is sent as the key; empty for none.
        noted: Whether its calls count as what the running test shows.
        settings: What else the clients are made with.

    Attributes:
        sync: The client that must not be used in the event loop's thread.
        client: The asynchronous one.
    """

    def __init__(self, url: str, key: str = "", *, noted: bool = True, **settings: Any) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else None
        made_with = {"host": url, **({"headers": headers} if headers else {}), **settings}
        made_with.setdefault("verify", False)  # nothing here is encrypted, and to read all certificates takes long
        self.sync = Client(**made_with)
        self.client = AsyncClient(**made_with)
        self._noted = noted
        for way in ("sync", "async"):
            self._note("Client", made_with, way)

    async def call(self, way: Way, method: str, /, **given: Any) -> Any:
        """Call a method. Of a streamed answer all pieces are returned, as a list.

        Raises:
            ResponseError: As the client raises it.
        """
        self._note(method, given, way)
        for message in given.get("messages") or ():
            self._note("Message", _fields(message), way)
        if "options" in given:
            self._note("Options", _fields(given["options"]), way)
        try:
            return await self._call(way, method, given)
        except ResponseError as error:
            self._note("ResponseError", vars(error), way)
            raise

    async def _call(self, way: Way, method: str, given: Mapping[str, Any]) -> Any:
        match way:
            case "sync":
                return await asyncio.to_thread(partial(getattr(self.sync, method), **given))
            case "sync, streamed":
                ask = partial(getattr(self.sync, method), **given, stream=True)
                return await asyncio.to_thread(lambda: list(ask()))
            case "async":
                return await getattr(self.client, method)(**given)
            case "async, streamed":
                return [piece async for piece in await getattr(self.client, method)(**given, stream=True)]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.sync.close()
        await self.client.close()

    def _note(self, method: str, parameters: Mapping[str, Any], way: Way) -> None:
        if self._noted:
            SEEN.append(Called(PYTHON, method, frozenset(parameters), way))


def _fields(value: Mapping[str, Any] | Message | Options) -> Mapping[str, Any]:
    return value.model_dump(exclude_unset=True) if isinstance(value, BaseModel) else value


def pieces(answer: Any) -> Sequence[Any]:
    """Return the pieces of an answer; one that came whole has one."""
    return answer if isinstance(answer, list) else [answer]


def text(answer: Any, of: Callable[[Any], str | None] = lambda piece: piece.message.content) -> str:
    """Return all text of a chat, or of what else is picked from each piece."""
    return "".join(of(piece) or "" for piece in pieces(answer))


async def outcome(caller: Caller, way: Way, method: str, **given: Any) -> Any:
    """Call a method, and return the answer without its times, or the error."""
    try:
        answer = await caller.call(way, method, **given)
    except ResponseError as error:
        return error.status_code, error.error
    return [piece.model_dump(exclude=TIMES) for piece in pieces(answer)]

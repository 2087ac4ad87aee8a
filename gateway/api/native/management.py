"""`POST /api/pull`, `/api/push`, `/api/create`, `/api/copy` and `DELETE /api/delete`, on the hosts that are meant."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, TypeVar

from adapters.ollama.native.management import (
    Create,
    Transfer,
    decode_copy,
    decode_create,
    decode_delete,
    decode_pull,
    decode_push,
)
from adapters.types import json_call
from gateway.api.body import read_body
from gateway.api.giving import Giving
from gateway.api.native.work import Work
from gateway.management.everywhere import everywhere
from gateway.management.job import Job
from gateway.management.targets import wished

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from adapters.types import Call
    from gateway.api.answering import Headers
    from gateway.api.ending import Ending
    from gateway.config import Placement, Settings
    from gateway.management.managed import Managed
    from gateway.management.targets import Targets
    from gateway.record import Record

_Asked = TypeVar("_Asked", bound=Transfer)

_LINES: Headers = [(b"content-type", b"application/x-ndjson"), (b"x-accel-buffering", b"no")]
_LAST_LINE: Headers = [(b"content-type", b"application/json")]


class _Endpoint(ABC):
    """An endpoint at which models are managed.

    Args:
        settings: All settings.
        managed: The hosts.
        running: Where the work on each request can be found while it goes on.
    """

    def __init__(self, settings: Settings, managed: Managed, running: set[Ending]) -> None:
        self._settings = settings
        self._managed = managed
        self._running = running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record: Record = scope["record"]
        record.route = record.path.removeprefix("/")
        async with Giving(scope, self._running, send) as giving:
            body = await read_body(scope, receive, limit=self._settings.max_body)
            await self._answer(giving, body, wished(scope["headers"]), record)

    @abstractmethod
    async def _answer(self, giving: Giving, body: bytes, wish: Placement | None, record: Record) -> None:
        """Do what is asked, on the hosts that are wished, and give the answer."""


class _Progress(_Endpoint, Generic[_Asked]):
    """An endpoint that tells how far it is. Hosts are always asked for that, whatever the caller wants to see."""

    _final = False

    @abstractmethod
    def _read(self, body: bytes) -> _Asked:
        """Return what is asked for."""

    @abstractmethod
    async def _targets(self, asked: _Asked, wish: Placement | None) -> Targets:
        """Return the hosts that do it."""

    async def _answer(self, giving: Giving, body: bytes, wish: Placement | None, record: Record) -> None:
        asked = self._read(body)
        record.asked, record.stream = asked.model, asked.stream
        targets = await self._targets(asked, wish)
        call = _call(record, asked.streamed)
        giving.source = work = Work(Job(self._managed, targets, call, final=self._final), call, record)
        if asked.stream:
            await giving.stream(work, await work.next(), work, asked.ignored, _LINES)
        else:
            status, last = await work.whole()
            await giving.whole(last, asked.ignored, _LAST_LINE, status=status)


class Pull(_Progress[Transfer]):
    """`POST /api/pull`: on every host, unless the caller or the configuration means others."""

    def _read(self, body: bytes) -> Transfer:
        return decode_pull(body)

    async def _targets(self, asked: Transfer, wish: Placement | None) -> Targets:
        return await self._managed.for_pull(asked.model, wish)


class Push(_Progress[Transfer]):
    """`POST /api/push`: from one host that has the model."""

    _final = True

    def _read(self, body: bytes) -> Transfer:
        return decode_push(body)

    async def _targets(self, asked: Transfer, wish: Placement | None) -> Targets:
        return await self._managed.for_push(asked.model, wish)


class Make(_Progress[Create]):
    """`POST /api/create`: on every host that has what the model is made of."""

    def _read(self, body: bytes) -> Create:
        return decode_create(body)

    async def _targets(self, asked: Create, wish: Placement | None) -> Targets:
        return await self._managed.for_create(asked, wish)


class _Everywhere(_Endpoint):
    """An endpoint for a call to every host that has a model."""

    _removes: bool

    async def _answer(self, giving: Giving, body: bytes, wish: Placement | None, record: Record) -> None:
        record.asked, destination, body = self._read(body)
        targets = await self._managed.for_all(record.asked, wish)
        call = _call(record, body)
        answer = await everywhere(self._managed, targets, call, record, removes=self._removes, destination=destination)
        form = [(b"content-type", answer.media_type)] if answer.media_type else []
        await giving.whole(answer.body, (), form)

    @abstractmethod
    def _read(self, body: bytes) -> tuple[str, str, bytes]:
        """Return the model that is meant, the second name that it gets if any, and the body that hosts get."""


class Copy(_Everywhere):
    """`POST /api/copy`: a second name for a model, wherever it is."""

    _removes = False

    def _read(self, body: bytes) -> tuple[str, str, bytes]:
        asked = decode_copy(body)
        self._managed.check_new(asked.destination)
        return asked.source, asked.destination, asked.body


class Delete(_Everywhere):
    """`DELETE /api/delete`: the end of a model, wherever it is."""

    _removes = True

    def _read(self, body: bytes) -> tuple[str, str, bytes]:
        asked = decode_delete(body)
        return asked.model, "", asked.body


def _call(record: Record, body: bytes) -> Call:
    return json_call(record.path, body, method=record.method)

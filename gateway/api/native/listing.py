"""What the fleet is and has, as if it were one Ollama: `/`, `/api/version`, `/api/tags`, `/api/ps`, `/api/status`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from adapters.errors import HostAnswer, NoHost
from adapters.ollama.native.listing import (
    STATUS,
    Listed,
    Loaded,
    encode_ps,
    encode_tags,
    encode_version,
    tells_cloud_is_on,
)
from gateway.api.answering import reply
from gateway.api.offered import offered
from gateway.hop import Timeouts
from gateway.management.asking import ask_each

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from gateway.api.answering import Headers
    from gateway.catalogue import Catalogue
    from gateway.fleet import Fleet, Host
    from gateway.record import Record

_JSON: Headers = [(b"content-type", b"application/json; charset=utf-8")]
_TEXT: Headers = [(b"content-type", b"text/plain; charset=utf-8")]

PATIENCE = Timeouts(total=2.0)
"""How long a host may take to tell its status: one that hangs must not hold up what the others say."""

REMEMBERED = 5.0
"""Seconds that a status is told again before hosts are asked anew."""


class Root:
    """`GET` and `HEAD /`: the sign of life that clients of Ollama look for."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record: Record = scope["record"]
        record.route = "root"
        await reply(send, record, 200, b"Ollama is running", _TEXT)


class Version:
    """`GET /api/version`: the lowest of the hosts that are up, for what an older one cannot do the fleet cannot do."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record = _record(scope)
        versions = [host.view.version for host in _up(self._fleet) if host.view.version is not None]
        await reply(send, record, 200, encode_version(str(min(versions))), _JSON)


class Tags:
    """`GET /api/tags`: every model of every host that is up, each name once, and every alias of one.

    Pages ask for it every second or so, and with a thousand models it takes milliseconds to make, so it is made only
    when something has changed.
    """

    def __init__(self, fleet: Fleet, catalogue: Catalogue) -> None:
        self._fleet = fleet
        self._catalogue = catalogue
        self._made_at = -1
        self._body = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record = _record(scope)
        _up(self._fleet)
        if self._made_at != self._fleet.changes:
            self._made_at, self._body = self._fleet.changes, self._make()
        await reply(send, record, 200, self._body, _JSON)

    def _make(self) -> bytes:
        models = offered(self._fleet, self._catalogue).values()
        return encode_tags(
            Listed(one.newest.entry, one.digests, one.newest.modified, alias=one.alias) for one in models
        )


class Ps:
    """`GET /api/ps`: what is in the memory of each host that is up."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record = _record(scope)
        _up(self._fleet)
        loaded = [
            Loaded(resident.entry, host.label)
            for host in self._fleet.hosts.values()
            if host.view.up
            for resident in host.view.residents.values()
        ]
        await reply(send, record, 200, encode_ps(loaded), _JSON)


class Status:
    """`GET /api/status`: what a host says of Ollama's cloud; one that may use it speaks for the fleet.

    It changes only when somebody sets up a host anew, so however often it is asked for, hosts are asked seldom.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._asking = asyncio.Lock()
        self._told: tuple[str, HostAnswer] | None = None
        self._asked_again_at = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record = _record(scope)
        record.host, answer = await self._tell(_up(self._fleet))
        headers = [(b"content-type", answer.media_type), (b"x-gateway-host", record.host.encode())]
        await reply(send, record, answer.status, answer.body, headers)

    async def _tell(self, hosts: list[Host]) -> tuple[str, HostAnswer]:
        """Return the host that speaks for the fleet, and what it says.

        Raises:
            NoHost: None says anything.
        """
        clock = asyncio.get_running_loop().time
        async with self._asking:
            if clock() >= self._asked_again_at:
                self._told = await _speaker(hosts)
                self._asked_again_at = clock() + REMEMBERED
            if self._told is None:
                raise NoHost("None of the hosts answers. Try again later.")
            return self._told


async def _speaker(hosts: list[Host]) -> tuple[str, HostAnswer] | None:
    answers = await ask_each(hosts, lambda _: STATUS, timeouts=PATIENCE)
    told = [(label, answer) for label, answer in answers.items() if isinstance(answer, HostAnswer)]
    return max(told, key=lambda one: (one[1].status == 200, tells_cloud_is_on(one[1].body)), default=None)


def _record(scope: Scope) -> Record:
    record: Record = scope["record"]
    record.route = record.path.removeprefix("/")
    return record


def _up(fleet: Fleet) -> list[Host]:
    """Return the hosts that are up; the simulated one only where it is the only one.

    Raises:
        NoHost: None is.
    """
    hosts = fleet.up()
    if not hosts:
        raise NoHost("None of the hosts is up. Try again later.")
    return hosts

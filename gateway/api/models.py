"""The models that callers can use: `GET /v1/models`, `GET` and `DELETE /v1/models/{id}`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.errors import HostLacksModel
from adapters.ollama.names import canonical
from adapters.ollama.native.management import encode_delete
from adapters.openai.models import ListedModel, encode_deleted, encode_model, encode_models
from gateway.absence import absent
from gateway.api.answering import JSON, reply
from gateway.api.giving import Giving
from gateway.api.offered import offered
from gateway.management.everywhere import everywhere
from gateway.management.targets import wished

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from gateway.api.ending import Ending
    from gateway.api.offered import Offered
    from gateway.catalogue import Catalogue
    from gateway.fleet import Fleet
    from gateway.management.managed import Managed
    from gateway.record import Record


class Models:
    """`GET /v1/models`: every model of every healthy host, and every alias of one."""

    def __init__(self, fleet: Fleet, catalogue: Catalogue) -> None:
        self._fleet = fleet
        self._catalogue = catalogue

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record: Record = scope["record"]
        record.route = "models"
        models = offered(self._fleet, self._catalogue).values()
        await reply(send, record, 200, encode_models([_listed(self._fleet, one) for one in models]), [JSON])


class Model:
    """`GET /v1/models/{id}`: one of them, by any spelling of its name."""

    def __init__(self, fleet: Fleet, catalogue: Catalogue) -> None:
        self._fleet = fleet
        self._catalogue = catalogue

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record: Record = scope["record"]
        record.route = "model"
        record.asked = asked = scope["path_params"]["model"]
        one = offered(self._fleet, self._catalogue).get(canonical(asked))
        if one is None:
            raise absent(self._fleet, self._catalogue, self._catalogue.key(asked), asked)
        await reply(send, record, 200, encode_model(_listed(self._fleet, one)), [JSON])


class DeleteModel:
    """`DELETE /v1/models/{id}`: the end of a model on every host that has it. An alias is no model."""

    def __init__(self, managed: Managed, catalogue: Catalogue, running: set[Ending]) -> None:
        self._managed = managed
        self._catalogue = catalogue
        self._running = running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record: Record = scope["record"]
        record.route = "model"
        record.asked = asked = scope["path_params"]["model"]
        async with Giving(scope, self._running, send) as giving:
            targets = await self._managed.for_all(asked, wished(scope["headers"]))
            try:
                await everywhere(self._managed, targets, encode_delete(asked), record, removes=True)
            except HostLacksModel as error:
                raise self._catalogue.not_found(asked, self._managed.fleet.names()) from error
            await giving.whole(encode_deleted(asked), ())


def _listed(fleet: Fleet, one: Offered) -> ListedModel:
    """Return what callers see of a model, from all hosts that have it; where these differ, the newest weights count.

    It can do what it can do on any of them: a request goes where it can be served.
    """
    profiles = [profile for place in one.by_age if (profile := fleet.told(*place)) is not None]
    lengths = (one.newest.context_length, *(profile.context_length for profile in profiles))
    return ListedModel(
        id=one.alias or one.newest.name,
        created=min(model.modified for _, model in one.places),
        digests=one.digests,
        loaded_on=tuple(host.label for host, _ in one.places if one.key in host.view.residents),
        size=one.newest.size,
        context_length=next((length for length in lengths if length is not None), None),
        capabilities=frozenset().union(*(profile.capabilities for profile in profiles)),
    )

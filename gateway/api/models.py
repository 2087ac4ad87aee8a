"""The models that callers can use: `GET /v1/models`, `GET` and `DELETE /v1/models/{id}`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from adapters.errors import Forbidden
from adapters.ollama.names import canonical
from adapters.openai.models import ListedModel, encode_model, encode_models
from gateway.absence import absent
from gateway.api.answering import JSON, reply

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from adapters.types import Model as HostsModel
    from gateway.catalogue import Catalogue
    from gateway.fleet import Fleet, Host
    from gateway.record import Record


class Models:
    """`GET /v1/models`: every model of every healthy host, and every alias of one."""

    def __init__(self, fleet: Fleet, catalogue: Catalogue) -> None:
        self._fleet = fleet
        self._catalogue = catalogue

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record: Record = scope["record"]
        record.route = "models"
        await reply(send, record, 200, encode_models(list(listed(self._fleet, self._catalogue).values())), [JSON])


class Model:
    """`GET /v1/models/{id}`: one of them, by any spelling of its name."""

    def __init__(self, fleet: Fleet, catalogue: Catalogue) -> None:
        self._fleet = fleet
        self._catalogue = catalogue

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record: Record = scope["record"]
        record.route = "model"
        record.asked = asked = scope["path_params"]["model"]
        model = listed(self._fleet, self._catalogue).get(canonical(asked))
        if model is None:
            raise absent(self._fleet, self._catalogue, self._catalogue.key(asked), asked)
        await reply(send, record, 200, encode_model(model), [JSON])


class DeleteModel:
    """`DELETE /v1/models/{id}`: refused, for it needs an admin's key, and keys have no scopes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record: Record = scope["record"]
        record.route = "model"
        record.asked = scope["path_params"]["model"]
        raise Forbidden(
            "To delete a model needs an admin's key, and no key is one yet. Delete it on its host: `ollama rm MODEL`.",
            param="model",
        )


def listed(fleet: Fleet, catalogue: Catalogue) -> dict[str, ListedModel]:
    """Return the models that callers can use, aliases included, by canonical name."""
    models = {key: _merged(fleet, key, places) for key, places in fleet.models().items()}
    for alias in catalogue.aliases:
        target = models.get(catalogue.key(alias))
        if target is not None:
            models[canonical(alias)] = replace(target, id=alias)
    return models


def _merged(fleet: Fleet, key: str, places: list[tuple[Host, HostsModel]]) -> ListedModel:
    """Return what callers see of a model, from all hosts that have it; where these differ, the newest weights count.

    It can do what it can do on any of them: a request goes where it can be served.
    """
    by_age = sorted(places, key=lambda place: place[1].modified, reverse=True)
    newest = by_age[0][1]
    profiles = [profile for place in by_age if (profile := fleet.told(*place)) is not None]
    lengths = (newest.context_length, *(profile.context_length for profile in profiles))
    return ListedModel(
        id=newest.name,
        created=min(model.modified for _, model in places),
        digests={host.label: model.digest for host, model in places},
        loaded_on=tuple(host.label for host, _ in places if key in host.view.residents),
        size=newest.size,
        context_length=next((length for length in lengths if length is not None), None),
        capabilities=frozenset().union(*(profile.capabilities for profile in profiles)),
    )

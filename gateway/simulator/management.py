"""`/api/copy` and `/api/delete` (wire.md 1.11)."""

from __future__ import annotations

from msgspec.structs import replace

from gateway.simulator import names
from gateway.simulator.answers import Answer, Refusal, Whole
from gateway.simulator.golang import quote
from gateway.simulator.host import Host
from gateway.simulator.incoming import SimulatedRequest
from gateway.simulator.management_requests import read_copy, read_delete
from gateway.simulator.names import Name


async def copy(host: Host, request: SimulatedRequest) -> Answer:
    """Give a model a second name.

    Raises:
        Refusal: 400 for a malformed name, 404 for a model that is not here.
    """
    asked = read_copy(request.body)
    source = _valid("source", asked.source)
    destination = _valid("destination", asked.destination)
    model = host.models.get(source.key)
    if model is None:
        raise Refusal(404, f"model {quote(asked.source)} not found")
    if source.key != destination.key:
        host.add(replace(model, name=host.spelling(destination), blob=model.weights))
    return Whole()


def _valid(field: str, text: str) -> Name:
    name = names.parse(text)
    if name is None:
        raise Refusal(400, f"{field} {quote(text)} is invalid")
    return name


async def delete(host: Host, request: SimulatedRequest) -> Answer:
    """Take a model from the disk; in memory it stays for its time.

    Raises:
        Refusal: 400 without a name or for a malformed one, 404 for a model that is not here.
    """
    asked = read_delete(request.body)
    name = asked.model or asked.name
    if not name.strip():
        raise Refusal(400, "model is required")
    if names.parse(name) is None:
        raise Refusal(400, f"name {quote(name)} is invalid")
    model = host.find(name)
    if model is None:
        raise Refusal(404, f"model '{name}' not found")
    host.delete(model)
    return Whole()

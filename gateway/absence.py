"""Why there is no host to ask for a model: those that have it are down, or may have it, or none has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.errors import NoHost

if TYPE_CHECKING:
    from adapters.errors import GatewayError
    from gateway.catalogue import Catalogue
    from gateway.fleet import Fleet


def absent(fleet: Fleet, catalogue: Catalogue, key: str, model: str) -> GatewayError:
    """Return the error for a model that no healthy host has.

    Args:
        fleet: The hosts.
        catalogue: What the configuration says of models.
        key: The canonical name of the model, which no alias is.
        model: The model as asked.
    """
    down = fleet.down(key)
    if down:
        return away(model, len(down))
    unseen = fleet.unseen()
    if unseen:
        many = f"{unseen} hosts are" if unseen > 1 else "one host is"
        return NoHost(f"No host that is up has the model {model!r}; {many} down, and may have it. Try again later.")
    return catalogue.not_found(model, fleet.names())


def away(model: str, down: int) -> NoHost:
    """Return the error for a model that only hosts have that are down.

    Args:
        model: The model as asked.
        down: How many had it when they were last up.
    """
    many = f"{down} hosts have it, and none of them is up" if down > 1 else "the host that has it is down"
    return NoHost(f"The model {model!r} cannot be served now: {many}. Try again later.")

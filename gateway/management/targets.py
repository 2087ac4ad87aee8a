"""Which hosts a management call goes to: a pure decision over who is up and what was wished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from adapters.errors import InvalidRequest, NoHost

if TYPE_CHECKING:
    from gateway.config import Placement

HEADER = b"x-gateway-hosts"
"""The request header by which a caller says which hosts it means."""

DOWN = b"x-gateway-hosts-down"
"""The answer header that lists the hosts that were meant and are down."""


class Targets(Struct, frozen=True, kw_only=True):
    """The hosts that a call goes to, by label, in the order of the configuration.

    Attributes:
        up: Those that can be asked; at least one.
        down: Those that were meant and are down.
        one: Whether one of them is enough; else each that is up must do what is asked.
        named: Whether the hosts were named one by one, so that one that is down is a failure as well.
    """

    up: tuple[str, ...]
    down: tuple[str, ...] = ()
    one: bool = False
    named: bool = False


def wished(headers: Sequence[tuple[bytes, bytes]]) -> Placement | None:
    """Return which hosts a caller means; None when it does not say.

    Raises:
        InvalidRequest: The header names nothing, or is there twice.
    """
    values = [value.decode("latin-1").strip() for name, value in headers if name == HEADER]
    if not values:
        return None
    labels = tuple(dict.fromkeys(label.strip() for label in values[0].split(",") if label.strip()))
    if len(values) > 1 or not labels:
        raise InvalidRequest("the header x-gateway-hosts must say all, any, or names of hosts with commas between them")
    return "all" if labels == ("all",) else "any" if labels == ("any",) else labels


def choose(hosts: Mapping[str, bool], placement: Placement, *, best: Sequence[str] = ()) -> Targets:
    """Return the hosts that a placement means.

    Args:
        hosts: Every host by label, and whether it is up.
        placement: Which of them are meant.
        best: The order in which they are tried where one is enough; those that are not in it come last.

    Raises:
        InvalidRequest: A host is named that there is not.
        NoHost: None of them is up.
    """
    labels = placement if isinstance(placement, tuple) else tuple(hosts)
    unknown = [label for label in labels if label not in hosts]
    if unknown:
        raise InvalidRequest(f"there is no host {unknown[0]!r}; the hosts are {', '.join(hosts)}")
    meant = [label for label in hosts if label in labels]
    up = tuple(label for label in meant if hosts[label])
    down = tuple(label for label in meant if not hosts[label])
    if not up:
        raise NoHost(f"None of the hosts that are meant is up ({', '.join(meant) or 'there are none'}). Try again later.")
    if placement == "any":
        first = [label for label in best if label in up]
        up = (*first, *(label for label in up if label not in first))
    return Targets(up=up, down=down, one=placement == "any", named=isinstance(placement, tuple))

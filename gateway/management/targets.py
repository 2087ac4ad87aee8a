"""Which hosts a management call goes to: a pure decision over who is up and what was wished."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from adapters.errors import HostUnreachable, InvalidRequest, NoHost
from gateway.config import parse_placement
from gateway.config.placement import WORDS
from gateway.fleet import DEMO

if TYPE_CHECKING:
    from adapters.errors import GatewayError
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
        how: By what they were chosen, in a word or a few.
        one: Whether one of them is enough; else each that is up must do what is asked.
        named: Whether the caller named them one by one, so that one that is down is a failure as well.
    """

    up: tuple[str, ...]
    down: tuple[str, ...] = ()
    how: str = "all"
    one: bool = False
    named: bool = False

    @property
    def rounds(self) -> tuple[tuple[str, ...], ...]:
        """The hosts that are asked at once, group after group as long as no one has done it: all, or each by itself."""
        return tuple((label,) for label in self.up) if self.one else (self.up,)

    @property
    def why(self) -> str:
        """Why these, for the header `x-gateway-route`."""
        return f"{self.how}, {len(self.up)} host{'s' if len(self.up) > 1 else ''}"

    @property
    def failures(self) -> dict[str, GatewayError]:
        """Why hosts have failed before any is asked, by label."""
        return {label: HostUnreachable("The host is down.") for label in self.down} if self.named else {}

    def one_of(self, having: Sequence[str]) -> Targets:
        """Return the same where one host is enough: one of these that have the model, in order, or any if none has."""
        up = tuple(label for label in having if label in self.up)
        if not up:
            return replace(self, one=True, named=False)
        return replace(self, up=up, how="has the model", one=True, named=False)

    def enough(self, done: Collection[str], unreachable: Collection[str]) -> bool:
        """Whether as many hosts did it as have to.

        Args:
            done: Those that did it.
            unreachable: Those that turned out to be down when they were asked.
        """
        if self.one:
            return bool(done)
        required = {*self.up, *self.down} if self.named else set(self.up).difference(unreachable)
        return bool(done) and required.issubset(done)


def wished(headers: Sequence[tuple[bytes, bytes]]) -> Placement | None:
    """Return which hosts a caller means; None when it does not say.

    Raises:
        InvalidRequest: The header names nothing, or is there twice.
    """
    values = [value.decode("latin-1").strip() for name, value in headers if name == HEADER]
    if not values:
        return None
    placement = parse_placement(values[0])
    if len(values) > 1 or not placement:
        raise InvalidRequest("the header x-gateway-hosts must say all, any, or names of hosts with commas between them")
    return placement


def together(placements: Collection[Placement]) -> Placement:
    """Return which hosts get what may be for any of several models, each with a placement of its own.

    One host is enough only where it is for all of them: for a model that is then made on another one, it would lack.
    """
    if len(set(placements)) == 1:
        return next(iter(placements))
    lists = [placement for placement in placements if isinstance(placement, tuple)]
    if len(lists) < len(placements):
        return "all"
    return tuple(dict.fromkeys(label for labels in lists for label in labels))


def choose(
    hosts: Mapping[str, bool], wish: Placement | None, default: Placement = "all", *, best: Sequence[str] = ()
) -> Targets:
    """Return the hosts that are meant.

    Args:
        hosts: Every host by label, and whether it is up.
        wish: Which of them the caller means; None when it does not say.
        default: Which are meant then.
        best: The order in which they are tried where one is enough; those that are not in it come last.

    Raises:
        InvalidRequest: A host is named that there is not.
        NoHost: None of them is up.
    """
    placement = wish or default
    labels = placement if isinstance(placement, tuple) else tuple(hosts)
    unknown = [label for label in labels if label not in hosts]
    if unknown:
        raise InvalidRequest(_complaint(unknown, hosts))
    meant = [label for label in hosts if label in labels]
    up = tuple(label for label in meant if hosts[label])
    down = tuple(label for label in meant if not hosts[label])
    if not up:
        raise NoHost(
            f"None of the hosts that are meant is up ({', '.join(meant) or 'there are none'}). Try again later."
        )
    if placement == "any":
        first = [label for label in best if label in up]
        up = (*first, *(label for label in up if label not in first))
    named = isinstance(wish, tuple)
    how = "named" if named else "placement" if isinstance(placement, tuple) else placement
    return Targets(up=up, down=down, how=how, one=placement == "any", named=named)


def _complaint(unknown: Sequence[str], hosts: Collection[str]) -> str:
    """Return what is wrong with labels that no host has that is managed."""
    if any(label in WORDS for label in unknown):
        return "all and any stand alone: name hosts without them, or write one of them and no host"
    if DEMO in unknown:
        return f"{DEMO!r} is the simulated host, which takes no part in this; the hosts are {', '.join(hosts)}"
    return f"there is no host {' or '.join(map(repr, dict.fromkeys(unknown)))}; the hosts are {', '.join(hosts)}"


def narrow(targets: Targets, able: Collection[str], *, strictly: bool = False) -> Targets:
    """Return the targets that are able to do it by themselves: only those, or those first where one is enough.

    When none is able, or the caller named the hosts, nothing changes: the hosts themselves say what they lack.

    Args:
        targets: The hosts that are meant.
        able: Those that are able.
        strictly: Whether the others could not do it at all, so that they are not even tried in the end.
    """
    first = tuple(label for label in targets.up if label in able)
    if not first or targets.named:
        return targets
    rest = tuple(label for label in targets.up if label not in able) if targets.one and not strictly else ()
    return replace(targets, up=(*first, *rest))

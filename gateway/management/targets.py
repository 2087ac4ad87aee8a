"""Which hosts a management call goes to: a pure decision over who is up and what was wished."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from adapters.errors import InvalidRequest, NoHost
from gateway.config import parse_placement

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

    @property
    def rounds(self) -> tuple[tuple[str, ...], ...]:
        """The hosts that are asked at once, group after group as long as no one has done it: all, or each by itself."""
        return tuple((label,) for label in self.up) if self.one else (self.up,)

    @property
    def why(self) -> str:
        """Why these, for the header `x-gateway-route`."""
        which = "named" if self.named else "any" if self.one else "all"
        count = len(self.up)
        return f"{which}, {count} host{'s' if count > 1 else ''}"

    def of_one(self, up: tuple[str, ...]) -> Targets:
        """Return the same where one of these hosts is enough."""
        return Targets(up=up, down=self.down, one=True)

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
        raise NoHost(
            f"None of the hosts that are meant is up ({', '.join(meant) or 'there are none'}). Try again later."
        )
    if placement == "any":
        first = [label for label in best if label in up]
        up = (*first, *(label for label in up if label not in first))
    return Targets(up=up, down=down, one=placement == "any", named=isinstance(placement, tuple))


def narrow(targets: Targets, able: Collection[str]) -> Targets:
    """Return the targets that are able to do it by themselves: only those, or those first where one is enough.

    When none is able, or the hosts were named, nothing changes: the hosts themselves say what they lack.
    """
    first = tuple(label for label in targets.up if label in able)
    if not first or targets.named:
        return targets
    rest = tuple(label for label in targets.up if label not in able) if targets.one else ()
    return replace(targets, up=(*first, *rest))

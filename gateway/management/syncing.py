"""Brings a model to the hosts that are meant to have it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from adapters.errors import GatewayError, NoHost
from adapters.ollama.names import canonical
from adapters.ollama.native.pulling import Step, decode_step, encode_pull
from gateway.management.drift import digests_of, hosts_lacking
from gateway.management.job import Job

if TYPE_CHECKING:
    from gateway.config import Placement
    from gateway.fleet import View
    from gateway.management.managed import Managed

Tell = Callable[[Step], None]


class Plan(Struct, frozen=True, kw_only=True):
    """What is to be done about a model. Hosts are told of by their labels.

    Attributes:
        meant: Those that are to have it in the end, or of which one is.
        pulling: Those of them that pull it, or of which one does.
        one: Whether one is enough.
    """

    meant: tuple[str, ...]
    pulling: tuple[str, ...]
    one: bool = False


class Result(Struct, frozen=True, kw_only=True):
    """What became of a model. Hosts are told of by their labels.

    Attributes:
        model: The model as it was named.
        good: Whether the hosts that are meant to have it do.
        pulled: Whether there was something to pull.
        having: Those that have it now, meant or not.
        failed: Those that could not pull it, and why.
        down: Those that are meant to have it and are down.
        digests: The digest on each host, where they differ.
    """

    model: str
    good: bool
    pulled: bool
    having: tuple[str, ...]
    failed: dict[str, str] = {}
    down: tuple[str, ...] = ()
    digests: dict[str, str] = {}


def plan(key: str, views: Mapping[str, View], placement: Placement, *, update: bool) -> Plan:
    """Return what is to be done about a model.

    Args:
        key: Its canonical name.
        views: What is known of each host, by label.
        placement: Which hosts are meant to have it.
        update: Whether those pull it as well that have it.
    """
    meant = tuple(label for label in views if not isinstance(placement, tuple) or label in placement)
    having = tuple(label for label in meant if views[label].up and key in views[label].models)
    if placement == "any" and having:
        meant = having
    pulling = {*hosts_lacking(key, views, placement), *(having if update else ())}
    return Plan(
        meant=meant,
        pulling=tuple(label for label in meant if label in pulling),
        one=placement == "any" and not having,
    )


async def sync(managed: Managed, model: str, placement: Placement, tell: Tell, *, update: bool = False) -> Result:
    """Pull a model where it is missing, and return what became of it. To cancel it stops the hosts.

    Args:
        managed: The hosts; each was looked at.
        model: The model.
        placement: Which of them are meant.
        tell: Called with how far it is.
        update: Whether to pull it also where it is.
    """
    key = canonical(model)
    planned = plan(key, _views(managed), placement, update=update)
    done, failed = await _pull(managed, model, planned, tell) if planned.pulling else ([], {})
    views = _views(managed)
    down = tuple(label for label in planned.meant if not views[label].up and label not in failed)
    digests = digests_of(key, views)
    return Result(
        model=model,
        good=bool(done) if planned.one else not failed and not down,
        pulled=bool(planned.pulling),
        having=tuple(label for label, view in views.items() if label in done or (view.up and key in view.models)),
        failed=failed,
        down=() if planned.one and done else down,
        digests=digests if len(set(digests.values())) > 1 else {},
    )


async def _pull(managed: Managed, model: str, planned: Plan, tell: Tell) -> tuple[list[str], dict[str, str]]:
    """Return the hosts that pulled a model, and why others failed."""
    try:
        targets = await managed.for_pull(model, "any" if planned.one else planned.pulling)
    except NoHost:
        return [], {}  # they went down a moment ago, and the looks at them say why
    tell(Step(status=f"pulling on {'one of ' if targets.one and targets.up[1:] else ''}{', '.join(targets.up)}"))
    job = Job(managed, replace(targets, down=()), encode_pull(model))  # that hosts are down is for the result to say
    try:
        while not job.ended:
            for line in await job.next():
                step = decode_step(line)
                if not step.ends:  # that is for the result to say
                    tell(step)
    except GatewayError:
        if not job.failed:
            raise
    finally:
        job.close()
    return job.done, job.failed


def _views(managed: Managed) -> dict[str, View]:
    return {label: host.view for label, host in managed.hosts.items()}

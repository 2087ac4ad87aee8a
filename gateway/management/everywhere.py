"""A copy or a delete: a short call to every host, with one answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from adapters.ollama.native.errors import words
from gateway.absence import away
from gateway.hop import Timeouts
from gateway.management.asking import ask, attempt
from gateway.management.outcome import outcome
from gateway.management.telling import note, tell

if TYPE_CHECKING:
    from adapters.errors import GatewayError, HostAnswer
    from adapters.types import Call
    from gateway.management.managed import Managed
    from gateway.management.targets import Targets
    from gateway.record import Record

PATIENCE = Timeouts(first_byte=60.0, between=60.0)
"""How long a host may take. Ollama does this at once; one that hangs must not hold up what the others say for long."""


async def everywhere(
    managed: Managed, targets: Targets, call: Call, record: Record, *, removes: bool, destination: str = ""
) -> HostAnswer:
    """Ask all these hosts for the same, and return the answer of one that did it.

    A host that does not have the model has nothing to do. When the answer is there, every host has been looked at.

    Args:
        managed: The hosts.
        targets: Which of them are meant.
        call: What to ask them.
        record: Where it is noted what came of it.
        removes: Whether it is done as well on a host that does not have the model. If not, one that the caller named
            fails.
        destination: The second name that the model gets.

    Raises:
        GatewayError: None of them has the model, or a host failed.
        NoHost: None of them has the model, and one that is down had it.
    """
    answers: dict[str, HostAnswer | GatewayError] = {}

    async def one(label: str) -> None:
        answers[label] = await attempt(ask(managed.hosts[label], call, timeouts=PATIENCE))

    note(record, targets, targets.up)
    try:
        await asyncio.gather(*map(one, targets.up))
    finally:
        managed.fleet.look(targets.up)
        in_order = {label: answers[label] for label in targets.up if label in answers}
        found = outcome(
            in_order | targets.failures,
            record.asked,
            lenient=not targets.named,
            may_lack=removes or not targets.named,
        )
        unfinished = [label for label in targets.up if label not in answers]
        note(record, targets, targets.up, found.unreachable)
        if found.done:
            record.host = ", ".join(found.done)
        tell(
            record,
            call,
            done=found.done,
            failed={label: words(error) for label, error in found.failed.items()},
            unfinished=unfinished,
            destination=destination,
            missing=found.missing and not unfinished,
        )
    await managed.show(found.done)
    down = managed.having(record.asked, (*targets.down, *found.unreachable))
    if found.missing and down and not targets.named:
        raise away(record.asked, len(down))
    return found.answer()

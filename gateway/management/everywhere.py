"""A copy or a delete: a short call to every host, with one answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.errors import GatewayError
from adapters.ollama.native.errors import words
from gateway.hop import Timeouts
from gateway.management.asking import ask_each
from gateway.management.outcome import down, outcome
from gateway.management.telling import tell

if TYPE_CHECKING:
    from adapters.errors import HostAnswer
    from adapters.types import Call
    from gateway.management.managed import Managed
    from gateway.management.targets import Targets
    from gateway.record import Record

PATIENCE = Timeouts(first_byte=60.0, between=60.0)
"""How long a host may take. Ollama does this at once; one that hangs must not hold up what the others say for long."""


async def everywhere(managed: Managed, targets: Targets, call: Call, record: Record) -> HostAnswer:
    """Ask all these hosts for the same, and return the answer of one that did it.

    A host that does not have the model has nothing to do. When the answer is there, every host has been looked at.

    Args:
        managed: The hosts.
        targets: Which of them are meant.
        call: What to ask them.
        record: Where it is noted what came of it.

    Raises:
        GatewayError: None of them has the model, or a host failed.
    """
    record.host, record.why, record.tried = ", ".join(targets.up), targets.why, len(targets.up)
    record.down = ", ".join(targets.down)
    try:
        hosts = [managed.hosts[label] for label in targets.up]
        answers = await ask_each(hosts, lambda _: call, timeouts=PATIENCE)
    finally:
        managed.fleet.look(targets.up)
    missing: dict[str, HostAnswer | GatewayError] = {label: down() for label in targets.down} if targets.named else {}
    found = outcome(answers | missing, record.asked, lenient=not targets.named)
    record.down = ", ".join((*targets.down, *found.unreachable))
    if found.done:
        await managed.fleet.refresh(hurry=True)
    tell(record, call, done=found.done, failed={label: words(error) for label, error in found.failed.items()})
    return found.answer()

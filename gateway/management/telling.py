"""What is told of a management call: in the headers of its answer, and in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.ollama.native.progress import reasons
from gateway.log import log
from gateway.record import LONGEST

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from adapters.types import Call
    from gateway.management.targets import Targets
    from gateway.record import Record


def note(record: Record, targets: Targets, asked: Collection[str], unreachable: Collection[str] = ()) -> None:
    """Note which hosts a request goes to.

    Args:
        record: The request.
        targets: The hosts that are meant.
        asked: Those that were asked so far.
        unreachable: Those of them that turned out to be down.
    """
    record.host, record.why, record.tried = ", ".join(asked), targets.why, len(asked)
    record.down = ", ".join((*targets.down, *unreachable))


def tell(
    record: Record,
    call: Call,
    *,
    done: Collection[str],
    failed: Mapping[str, str],
    unfinished: Collection[str] = (),
    destination: str = "",
    missing: bool = False,
) -> None:
    """Write who did what to which model, and on which hosts; docs/operations.md has the meaning of each field.

    Args:
        record: The request.
        call: What was asked of the hosts.
        done: Those that did it.
        failed: The reason of each that failed.
        unfinished: Those that were stopped while they worked on it.
        destination: The second name that the model gets.
        missing: Whether nothing was done because none has the model.
    """
    log(
        "management",
        "warning" if failed or unfinished or record.down else "info",
        request_id=record.request_id,
        caller=record.caller or None,
        what=call.target.split("/")[2],
        model=record.asked[:LONGEST] or None,
        destination=destination[:LONGEST] or None,
        done=", ".join(done) or None,
        missing=missing or None,
        failed=reasons(failed)[:LONGEST] if failed else None,
        down=record.down or None,
        unfinished=", ".join(unfinished) or None,
    )

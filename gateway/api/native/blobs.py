"""`HEAD` and `POST /api/blobs/:digest`: a file that a model is made of goes to every host that is to make it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from adapters.errors import HostAnswer
from adapters.ollama.native.blobs import check_digest, look, missing, store
from adapters.ollama.native.errors import words
from gateway.api.answering import reply, request_id
from gateway.api.body import body_length, body_pieces
from gateway.api.ending import Ending
from gateway.api.giving import answer_headers
from gateway.hop import Timeouts
from gateway.management.asking import QUICK, ask_each
from gateway.management.outcome import outcome, verdict
from gateway.management.targets import wished
from gateway.management.telling import note, tell
from gateway.management.uploading import upload

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from adapters.errors import GatewayError
    from gateway.config import Settings
    from gateway.management.managed import Managed
    from gateway.management.outcome import Outcome
    from gateway.management.targets import Targets
    from gateway.record import Record

Answers: TypeAlias = "dict[str, HostAnswer | GatewayError]"

_STORE = 300.0
"""Seconds that a host may take after the last byte to put a blob in its place, which it has checked as it came."""


class Blobs:
    """The endpoint for blobs. The time of an upload is bounded by its progress, and its size not at all."""

    def __init__(self, settings: Settings, managed: Managed, running: set[Ending]) -> None:
        self._patience = settings.receive_timeout
        self._timeouts = Timeouts(
            connect=settings.timeouts.connect, first_byte=_STORE, between=settings.timeouts.between
        )
        self._managed = managed
        self._running = running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record: Record = scope["record"]
        record.route = "api/blobs"
        digest: str = scope["path_params"]["digest"]
        check_digest(digest)
        with Ending(scope, self._running, unhurried=True):
            targets = await self._managed.for_blob(wished(scope["headers"]))
            answers = await self._look(digest, targets)
            if scope["method"] == "HEAD":
                await _say_found(digest, targets, _outcome(answers, targets, record), record, send)
                return
            note(record, targets, answers)
            answers |= await self._upload(digest, answers, scope, receive)
            status = self._stored(digest, _outcome(answers, targets, record), record)
            await reply(send, record, status, b"", answer_headers(record, ()))

    async def _look(self, digest: str, targets: Targets) -> Answers:
        """Return whether the hosts have a blob: all that are meant, or the first that answers where one is enough."""
        failed: Answers = {}
        for labels in targets.rounds:
            answers = await ask_each(
                (self._managed.hosts[label] for label in labels), lambda _: look(digest), timeouts=QUICK
            )
            if any(isinstance(said, HostAnswer) for said in answers.values()):
                return answers
            failed |= answers
        return failed

    async def _upload(self, digest: str, answers: Answers, scope: Scope, receive: Receive) -> Answers:
        """Send the request's body to the hosts that lack it. If none does, the body is not even asked for.

        An upload that ends before its end is written to the log here.
        """
        lacking = [label for label, said in answers.items() if isinstance(said, HostAnswer) and said.status == 404]
        if not lacking:
            return {}
        stored: Answers = {}
        try:
            stored = await upload(
                [self._managed.hosts[label] for label in lacking],
                store(digest),
                body_pieces(receive, patience=self._patience),
                length=body_length(scope),
                timeouts=self._timeouts,
            )
        finally:
            if not stored:
                tell(scope["record"], store(digest), done=(), failed={}, unfinished=lacking)
        return stored

    def _stored(self, digest: str, found: Outcome, record: Record) -> int:
        """Return the status when every host has the blob: 201 when one of them did not have it before.

        Raises:
            GatewayError: Some host does not have it.
        """
        failed = {label: words(error) for label, error in found.failed.items()}
        tell(record, store(digest), done=found.done, failed=failed)
        self._managed.fleet.look({**found.failed, **found.unreachable})
        if failed or not found.done:
            raise verdict(found.failed or found.unreachable, found.done)
        return max(said.status for said in found.done.values())


def _outcome(answers: Answers, targets: Targets, record: Record) -> Outcome:
    """Return what the hosts' answers come to, and note it."""
    found = outcome(answers | targets.failures, "", lenient=not targets.named, may_lack=False)
    note(record, targets, answers, found.unreachable)
    return found


async def _say_found(digest: str, targets: Targets, found: Outcome, record: Record, send: Send) -> None:
    """Answer that the blob is there, without the length of a body: it would be the blob's, which nobody knows.

    Raises:
        UnknownURL: It is not everywhere.
    """
    if not targets.enough(found.done, found.unreachable):
        raise missing(digest)
    record.status = 200
    headers = [*answer_headers(record, ()), request_id(record)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b""})

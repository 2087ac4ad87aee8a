"""What a caller is told when several hosts were asked for the same thing: pure decisions over what they said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from adapters.errors import GatewayError, HostAnswer, HostError, HostLacksModel, HostUnreachable
from adapters.ollama.errors import decode_error
from adapters.ollama.native.errors import JSON, encode_error, encode_refusal, words
from adapters.ollama.native.progress import reasons

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


def refused(answer: HostAnswer, model: str = "") -> GatewayError:
    """Return the error that a host's refusal means, with the host's own words in it.

    Args:
        answer: The refusal.
        model: The model as asked.
    """
    error = decode_error(answer.status, answer.body, model)
    error.refusal = answer
    return error


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of a call to several hosts, by label.

    Attributes:
        done: What those said that did what was asked.
        lacking: What those said that do not have the model, where that is no failure.
        failed: Why others failed.
        unreachable: Those that turned out to be down, where that is no failure.
    """

    done: dict[str, HostAnswer]
    lacking: dict[str, GatewayError]
    failed: dict[str, GatewayError]
    unreachable: dict[str, GatewayError]

    @property
    def missing(self) -> bool:
        """Whether nothing was done because no host that answered has the model."""
        return bool(self.lacking) and not self.done and not self.failed

    def answer(self) -> HostAnswer:
        """Return what the caller is told: it is done if one host did it and none failed.

        Raises:
            GatewayError: It is not.
        """
        if self.failed:
            raise named(self.failed, self.done) if self.lacking else verdict(self.failed, self.done)
        if self.done:
            return next(iter(self.done.values()))
        raise next(iter(self.lacking.values())) if self.lacking else verdict(self.unreachable)


def outcome(
    answers: Mapping[str, HostAnswer | GatewayError], model: str, *, lenient: bool, may_lack: bool = True
) -> Outcome:
    """Return what became of a call.

    Args:
        answers: What each host answered, or why it did not.
        model: The model as asked.
        lenient: Whether a host that cannot be reached is no failure.
        may_lack: Whether a host that does not have the model is none.
    """
    found = Outcome(done={}, lacking={}, failed={}, unreachable={})
    for label, said in answers.items():
        if isinstance(said, GatewayError):
            kind = found.unreachable if lenient and isinstance(said, HostUnreachable) else found.failed
            kind[label] = said
        elif said.status in (200, 201):
            found.done[label] = said
        else:
            error = refused(said, model)
            kind = found.lacking if may_lack and isinstance(error, HostLacksModel) else found.failed
            kind[label] = error
    return found


def verdict(errors: Mapping[str, GatewayError], done: Collection[str] = ()) -> GatewayError:
    """Return what a caller is told when hosts failed: their own words where all hosts say the same.

    Args:
        errors: Why each of them failed, by label; at least one.
        done: The hosts that did what was asked.
    """
    first, *others = errors.values()
    alike = not done and all(other.refusal == first.refusal is not None for other in others)
    return first if alike else named(errors, done)


def named(errors: Mapping[str, GatewayError], done: Collection[str] = ()) -> GatewayError:
    """Return an error that names each host that failed with its reason, and those that did what was asked.

    The status is that of all failures when it is the same, else 502.
    """
    statuses = {encode_refusal(error).status for error in errors.values()}
    error = HostError(reasons({label: words(error) for label, error in errors.items()}, tuple(done)))
    status = statuses.pop() if len(statuses) == 1 else HostError.status
    error.refusal = HostAnswer(status, JSON, encode_error(error.message))
    return error

"""Which host answers: a pure decision over a snapshot, with its reason. It waits for nothing and logs nothing."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct


class Candidate(Struct, frozen=True, kw_only=True):
    """A healthy host that has the model, as it is at this moment.

    Attributes:
        host: Its label.
        model: Its name for the model.
        digest: Which weights stand behind that name.
        resident: Whether the model is in its memory.
        in_flight: Calls for the model that it works on for us.
        parallel: Calls for a model that it answers at once.
        turn: When it was last chosen; larger is later.
    """

    host: str
    model: str
    digest: str = ""
    resident: bool = False
    in_flight: int = 0
    parallel: int = 1
    turn: int = 0

    @property
    def reason(self) -> str:
        """Why it stands where it stands, in a few words."""
        return f"{'resident' if self.resident else 'cold'}, {self.in_flight} of {self.parallel} in flight"


def rank(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates, best first.

    A free slot comes before a busy host, a loaded model before one that must be loaded, then the smaller share of slots
    in use, then whoever has waited longest.
    """
    return sorted(candidates, key=_order)


def _order(candidate: Candidate) -> tuple[bool, bool, float, int]:
    full = candidate.in_flight >= candidate.parallel
    return full, not candidate.resident, candidate.in_flight / candidate.parallel, candidate.turn


class Spread(Struct, frozen=True):
    """How several calls that make one answer are spread over the hosts.

    Attributes:
        digest: Which weights answer all of them; empty for whichever the model's name stands for.
        host: The label of the host that comes first as long as it has a free slot; empty for none.
        width: How many are under way at once.
    """

    digest: str = ""
    host: str = ""
    width: int = 1


def spread(candidates: Sequence[Candidate]) -> Spread:
    """Return how several calls are spread: over the free slots of all hosts that have the model in memory.

    The weights are those of the best host, for one answer has one author. What finds no free slot waits here and not at
    a host, where its waiting would count as the host's. Where the model is not in memory only one host loads it.
    """
    if not candidates:
        return Spread()
    best = rank(candidates)[0]
    warm = [one for one in candidates if one.resident and one.digest == best.digest]
    slots = sum(max(0, one.parallel - one.in_flight) for one in warm or [best])
    return Spread(digest=best.digest, host="" if warm else best.host, width=max(1, slots))

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
    """Where several calls go that make one answer.

    Attributes:
        digest: Which weights answer all of them, for one answer has one author; empty for any.
        host: The label of the host that comes first as long as it has a free slot; empty for the best one.
    """

    digest: str = ""
    host: str = ""


def spread(candidates: Sequence[Candidate]) -> Spread:
    """Return where several calls go: to the weights of the best host, and where they are in no memory, to it alone."""
    if not candidates:
        return Spread()
    best = rank(candidates)[0]
    warm = any(one.resident and one.digest == best.digest for one in candidates)
    return Spread(digest=best.digest, host="" if warm else best.host)


def room(candidates: Sequence[Candidate], over: Spread) -> int:
    """Return how many more calls can be made at this moment: the free slots of the hosts with the model in memory.

    What finds no free slot had better wait here than at a host, where its waiting would count as the host's. And no
    host should load the model for a further answer while another one has it.
    """
    same = [one for one in candidates if one.digest == over.digest]
    hosts = [one for one in same if one.resident] or [one for one in same if one.host == over.host]
    return sum(max(0, one.parallel - one.in_flight) for one in hosts)

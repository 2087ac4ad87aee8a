"""The progress of a pull, push or create that runs on several hosts, as the one stream that a single host would send.

Hosts speak NDJSON (wire.md 1.11). Most lines have a status alone; those about a layer have its digest, its size and how
much of it is done. Clients keep a bar for each digest and take it that one layer follows another; Ollama's own command,
and the usual example for the Python client, close a bar when something else comes in between. So what is sent keeps
to an order of its own:

- *Layers* are told one at a time, in the order in which they first appeared. A layer's total is its size times the
  hosts that take part, from its first line on; what is done is the sum over them. It is the next layer's turn when all
  hosts that still run are past this one. What they say of later layers is gathered until then.
- *Gates*, such as `writing manifest`, are sent when all hosts that still run have reached or passed them.
- Any other status is sent once, when the first host says it, yet not before the layer in turn is done.
- That a host failed is told at once, and as a status: an `error` line would end the client.

A host tells a layer every 60 ms, and so never tells the end of one, nor anything of a small one. It works on one at a
time, which shows what it has done: what it no longer tells of, what comes before its place in another host's order, and
everything once it is at a gate.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec

from adapters.ollama.native.errors import encode_error
from adapters.ollama.native.pulling import Step, decode_step, encode_step

_GATES = {
    ("verifying sha256 digest", ""): 1,
    ("pushing manifest", ""): 2,
    ("writing manifest", ""): 3,
    ("removing unused layers", ""): 4,
}
"""What every host comes to, in this order, by status and digest. A host need not say them all."""

_SUCCESS = 5

_NONSENSE = "The host sent a line that makes no sense."
_LONGEST_REASON = 2000
_ROOM = 1 << 24
_OVERHEAD = 1000
"""How many bytes of different lines are remembered, and what each takes beside its own."""


class _Host:
    """How far a host has come.

    Attributes:
        gate: The last gate it reached; 0 before the first.
        layer: The layer that its last line was about.
        succeeded: Whether its last line was `success`.
        reason: Why it cannot go on; None as long as it can.
    """

    __slots__ = ("gate", "layer", "reason", "succeeded")

    def __init__(self) -> None:
        self.gate = 0
        self.layer: _Layer | None = None
        self.succeeded = False
        self.reason: str | None = None

    @property
    def running(self) -> bool:
        return self.reason is None and not self.succeeded


class _Layer:
    """A layer, or another work of a known size.

    Attributes:
        total: Its size, as the first host told it.
        done: How much of it each host says to have done, in shares of that size.
        since: When each host first told of it, in lines.
        hosts: Those that take part, from its first line on; empty before that.
        completed: What was told last; None before that.
    """

    __slots__ = ("_digest", "_status", "completed", "done", "hosts", "since", "total")

    def __init__(self, line: Step) -> None:
        self._status = line.status
        self._digest = line.digest
        self.total = line.total
        self.done: dict[_Host, int] = {}
        self.since: dict[_Host, int] = {}
        self.hosts: list[_Host] = []
        self.completed: int | None = None

    def tell(self, host: _Host, line: Step, now: int) -> None:
        """Take what a host says. Sizes may differ: what counts is the part that is done."""
        part = min(self.total, max(0, line.completed) * self.total // line.total)
        self.done[host] = max(part, self.done.get(host, 0))
        self.since.setdefault(host, now)

    def before(self, other: _Layer) -> bool:
        """Whether some host told of this layer first, and then of the other one."""
        return any(host in other.since and since < other.since[host] for host, since in self.since.items())

    def is_past(self, host: _Host) -> bool:
        """Whether a host has nothing more to do here."""
        if host in self.done:
            return host.layer is not self or self.done[host] == self.total
        return host.gate > 0 or (host.layer is not None and self.before(host.layer))

    @property
    def size(self) -> int:
        """What there is to do on all hosts that take part."""
        return self.total * len(self.hosts)

    def news(self, *, is_subject: bool) -> list[bytes]:
        """Return the line that tells how far the hosts are, unless it is what was told before by another's line."""
        completed = sum(self.total if self.is_past(host) else self.done.get(host, 0) for host in self.hosts)
        return [self.encode(completed)] if is_subject or self.completed is None or completed > self.completed else []

    def encode(self, completed: int) -> bytes:
        """Return a line; what was told to be done is never taken back."""
        self.completed = max(completed, self.completed or 0)
        return encode_step(Step(self._status, self._digest, self.size, self.completed))


class Progress:
    """Merges what several hosts say about one pull, push or create. Made for one request, not for use by two threads.

    With one host, every line is what that host sent, byte for byte.

    The last line is never among those that `feed` returns: it is what `end` returns, so that a caller can first see to
    it that what the line says is true. Every host should be read to the end of its answer: a `create` that has to pull
    first says `success` in the middle, and a host that says more after that runs again.

    Args:
        hosts: The labels of all hosts that do it.
    """

    def __init__(self, hosts: Sequence[str]) -> None:
        self._hosts = {label: _Host() for label in hosts}
        self._merges = len(self._hosts) > 1
        self._last: bytes | None = None
        self._lines = 0
        self._room = _ROOM
        self._layers: dict[tuple[str, str], _Layer] = {}
        self._statuses: set[tuple[str, str]] = set()
        self._waiting: deque[_Layer | bytes] = deque()
        self._gates: dict[int, bytes] = {}
        self._news: list[str] = []

    @property
    def running(self) -> tuple[str, ...]:
        """Those that neither succeeded nor failed."""
        return tuple(label for label, host in self._hosts.items() if host.running)

    @property
    def succeeded(self) -> tuple[str, ...]:
        """Those whose last line was `success`."""
        return tuple(label for label, host in self._hosts.items() if host.succeeded)

    @property
    def failed(self) -> Mapping[str, str]:
        """The reason of each host that failed."""
        return MappingProxyType({label: host.reason for label, host in self._hosts.items() if host.reason is not None})

    def feed(self, host: str, line: bytes) -> list[bytes]:
        """Take a line of a host, without its line feed; return the lines to send, without line feeds.

        A line that is no JSON object, or has other types in it than Ollama's, is a failure of the host. After its
        failure nothing that a host says counts.
        """
        one = self._hosts[host]
        if one.reason is not None or not line.strip():
            return []
        try:
            said = decode_step(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._fail(host, _NONSENSE)
        if not self._merges:
            return self._relay(one, said, line)
        if said.error is not None:
            return self._fail(host, said.error)
        self._lines += 1
        self._tell_news(host)
        one.succeeded = said.status == "success"
        if one.succeeded:
            one.gate, one.layer = _SUCCESS, None
            self._news.append(host)
        else:
            self._place(one, said, line)
        return self._turn(one.layer)

    def fail(self, host: str, reason: str) -> list[bytes]:
        """Take that a host cannot go on, for a reason that is no line of its own; return the lines to send.

        Nothing changes for a host that said `success`, for it is done, nor for one that has failed already.
        """
        return self._fail(host, reason) if self._hosts[host].running else []

    def _fail(self, host: str, reason: str) -> list[bytes]:
        one = self._hosts[host]
        one.reason = _kept(reason)
        one.succeeded = False
        if not self._merges:
            self._last = None
            return []
        self._tell_news(host)
        return [encode_failed(host, one.reason), *self._turn(None)]

    def end(self, *, enough: bool) -> bytes:
        """Return the last line, when no host runs any more.

        Args:
            enough: Whether as many hosts succeeded as have to.
        """
        if self._last is not None:
            return self._last
        return _status("success") if enough else encode_error(self.error_text())

    def error_text(self) -> str:
        """Return why it did not succeed: the hosts by their reasons, and those that it did succeed on.

        With one host it is the host's reason alone.
        """
        failed = {
            label: host.reason or "The host did not end." for label, host in self._hosts.items() if not host.succeeded
        }
        if not failed:
            return f"too few hosts could be asked; it is done on {', '.join(self.succeeded) or 'none'}"
        return reasons(failed, self.succeeded) if self._merges else next(iter(failed.values()))

    def _relay(self, host: _Host, said: Step, line: bytes) -> list[bytes]:
        """Return a single host's lines as they came, but for one that can be the last one."""
        lines = [line] if self._last is None else [self._last, line]
        self._last = None
        host.succeeded = said.error is None and said.status == "success"
        if said.error is not None:
            host.reason = _kept(said.error)
        if not host.running:
            self._last = lines.pop()
        return lines

    def _tell_news(self, label: str) -> None:
        """Tell who succeeded, now that others go on; not of the host itself, whose `success` was not its last line."""
        self._waiting.extend(_status(f"{other}: success") for other in self._news if other != label)
        self._news.clear()

    def _place(self, host: _Host, said: Step, line: bytes) -> None:
        """Note how far a line shows its host to have come, and put what it says where it waits for its turn."""
        key = said.status, said.digest
        host.layer = None
        if said.layer is not None:
            if key not in self._layers and self._has_room(line):
                self._layers[key] = _Layer(said)
                self._waiting.append(self._layers[key])
            host.layer = self._layers.get(key)
            if host.layer is not None:
                host.layer.tell(host, said, self._lines)
        elif key in _GATES:
            host.gate = max(host.gate, _GATES[key])
            self._gates.setdefault(_GATES[key], line)
        elif key not in self._statuses and self._has_room(line):
            self._statuses.add(key)
            self._waiting.append(line)

    def _has_room(self, line: bytes) -> bool:
        """Whether one more thing can be remembered. What cannot is not told; it says nothing about the outcome."""
        self._room -= len(line) + _OVERHEAD
        return self._room >= 0

    def _turn(self, subject: _Layer | None) -> list[bytes]:
        """Return what is to be sent now, after a line about a layer, or about none."""
        hosts = self._hosts.values()
        running = [host for host in hosts if host.running]
        if not running and not self.succeeded:
            return []  # nobody goes on, and nobody came further
        lines: list[bytes] = []
        while self._waiting:
            first = self._waiting[0]
            if isinstance(first, bytes):
                lines.append(first)
            else:
                first.hosts = first.hosts or [host for host in hosts if host.reason is None]
                if not all(first.is_past(host) for host in running):
                    return lines + first.news(is_subject=first is subject)
                lines.append(first.encode(first.size))
            self._waiting.popleft()
        for gate, line in sorted(self._gates.items()):
            if line and all(host.gate >= gate for host in running):
                lines.append(line)
                self._gates[gate] = b""  # once
        return lines


def reasons(failed: Mapping[str, str], done: Sequence[str] = ()) -> str:
    """Return why hosts failed, those with the same reason together, and where it is done all the same.

    Args:
        failed: The reason of each host, by label; at least one.
        done: The labels of the hosts that did it.
    """
    hosts: dict[str, list[str]] = {}
    for label, reason in failed.items():
        hosts.setdefault(reason.removesuffix("."), []).append(label)
    text = "; ".join(f"{', '.join(labels)}: {reason}" for reason, labels in hosts.items())
    return f"{text}. It is done on {', '.join(done)}." if done else text


def encode_failed(host: str, reason: str) -> bytes:
    """Return the line, without its line feed, that tells that a host failed while others may go on."""
    return _status(f"{host} failed: {reason}")


def _status(text: str) -> bytes:
    return msgspec.json.encode({"status": text})


def _kept(reason: str) -> str:
    """Return what is remembered of a reason, which a host may give at any length, or not at all."""
    return (reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}…") or "The host gave no reason."

"""What `ollama-gateway hosts` says: about each host, and about what is not the same on all of them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from gateway.log import printable

if TYPE_CHECKING:
    from gateway.fleet import Host
    from gateway.management.drift import Drift

WIDTH = 80
"""Columns that a line takes at most, as long as its words fit."""

_HEAD = ("HOST", "STATE", "VERSION", "MODELS", "IN MEMORY")
_SHORT = 12
"""Digits of a digest that are shown, as `ollama list` shows them."""


def as_text(hosts: Sequence[Host], drift: Drift) -> str:
    """Return it for people: a table of the hosts, and below it the drift."""
    lines = [*_table(hosts), "", "DRIFT", *_drift(hosts, drift)]
    return "".join(f"{printable(line)}\n" for line in lines)


def as_json(hosts: Sequence[Host], drift: Drift) -> str:
    """Return it for programs, with names and digests as the hosts tell them."""
    said = {
        "hosts": [
            {
                "name": host.label,
                "url": host.hop.url,
                "up": host.view.up,
                "reason": None if host.view.up else _reason(host),
                "version": str(host.view.version) if host.view.version else None,
                "models": {model.name: model.digest for _, model in sorted(host.view.models.items())},
                "in_memory": sorted(model.name for model in host.view.residents.values()),
            }
            for host in hosts
        ],
        "drift": {"lacking": drift.lacking, "differing": drift.differing},
    }
    return msgspec.json.format(msgspec.json.encode(said), indent=2).decode() + "\n"


def why_down(host: Host) -> str:
    """Return why a host is down, and where it was looked for."""
    return f"{_reason(host)}. Its URL is {host.hop.url}."


def short(model: str) -> str:
    """Return a model's name as people write it."""
    return model.removesuffix(":latest")


def short_digests(digests: dict[str, str]) -> str:
    """Return the digest on each host in a few digits."""
    return ", ".join(f"{digest[:_SHORT]} on {label}" for label, digest in digests.items())


def wrap(text: str, indent: int) -> list[str]:
    """Return a text in lines that fit; from the second one on they begin with as many spaces."""
    width = max(WIDTH, indent + 20)  # where names leave no room, lines are longer than they should be
    return textwrap.wrap(text, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)


def _reason(host: Host) -> str:
    """Return why a host is down."""
    error = host.view.error
    if error is None:  # when this process may not open a socket, no host is to blame
        return "It could not be asked, for lack of sockets"
    detail = f": {error.detail}" if error.detail else ""
    return f"{error.message.removesuffix('.')}{detail}"


def _table(hosts: Sequence[Host]) -> list[str]:
    label = max(len(text) for text in (_HEAD[0], *(host.label for host in hosts)))
    version = max(len(text) for text in (_HEAD[2], *(str(host.view.version) for host in hosts if host.view.up)))
    name, state, release, models, memory = _HEAD
    lines = [f"{name:{label}}  {state}  {release:{version}}  {models}  {memory}"]
    for host in hosts:
        view = host.view
        if view.up:
            loaded = ", ".join(sorted(short(model.name) for model in view.residents.values())) or "-"
            start = f"{host.label:{label}}  up     {view.version!s:{version}}  {len(view.models):6}  "
            rest = loaded
        else:
            start = f"{host.label:{label}}  down   "
            rest = why_down(host)
        lines += wrap(start + rest, len(start))
    return lines


def _drift(hosts: Sequence[Host], drift: Drift) -> list[str]:
    found = [f"{label} lacks {', '.join(map(short, models))}" for label, models in drift.lacking.items()]
    found += [f"{short(model)} differs: {short_digests(digests)}" for model, digests in drift.differing.items()]
    found += [f"{host.label} is down: what it has is not known" for host in hosts if not host.view.up]
    lines = [line for text in found or ["none"] for line in wrap(text, 4)]
    if drift:
        lines.append("")
    if drift.lacking:
        lines.append("`ollama-gateway sync MODEL` pulls a model where it is missing.")
    if drift.differing:
        lines.append("`ollama-gateway sync --update MODEL` pulls the newest on every host.")
    if drift:
        lines.append("What was made on a host cannot be pulled: `create` it through the gateway.")
    return lines

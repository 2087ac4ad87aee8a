"""`ollama-gateway sync`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from adapters.errors import InvalidRequest
from adapters.ollama.names import canonical
from adapters.ollama.native.progress import reasons
from gateway.catalogue import Catalogue
from gateway.commands.configured import add_config, fleet_of, has_hosts, load_settings
from gateway.commands.report import short_digests, why_down, wrap
from gateway.commands.screen import Screen
from gateway.commands.status import FAILURE, INTERRUPTED, SUCCESS, USAGE
from gateway.config import parse_placement
from gateway.management.managed import Managed
from gateway.management.syncing import sync
from gateway.management.targets import choose

if TYPE_CHECKING:
    from gateway.config import Placement, Settings
    from gateway.fleet import Host
    from gateway.management.syncing import Result

_NOT_THERE = "file does not exist"
"""How a host ends its words when a registry does not have a model."""


def add(command: argparse.ArgumentParser) -> None:
    """Add what the command can be told."""
    command.description = (
        "Pull models on the hosts that are meant to have them and lack them. The status is 0 when all have them in the "
        "end, 1 when not, 2 for a mistake in the call or the configuration, 130 after Ctrl-C."
    )
    command.add_argument("models", nargs="+", type=_model, metavar="MODEL", help="a model, as for `ollama pull`")
    add_config(command)
    command.add_argument(
        "--hosts",
        metavar="all|any|NAME[,NAME]",
        help="which hosts are meant: all, any one, or these; else what `placement` says in the configuration",
    )
    command.add_argument(
        "--update", action="store_true", help="pull also where a model is, so that every host has the newest"
    )
    command.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    settings = load_settings(options)
    if not has_hosts(settings):
        return USAGE
    wish = None if options.hosts is None else parse_placement(options.hosts)
    models = {canonical(model): model for model in options.models}  # each once, however often it is named
    if mistake := _mistake(wish, models.values(), settings):
        print(mistake, file=sys.stderr)
        return USAGE
    screen = Screen(sys.stdout)
    try:
        return asyncio.run(_sync(settings, models.values(), wish, screen, update=options.update))
    except KeyboardInterrupt:
        screen.end_line()
        print("Interrupted. The hosts were told to stop; they go on from there next time.", file=sys.stderr)
        return INTERRUPTED


def _model(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("it must not be empty")
    return text


def _mistake(wish: Placement | None, models: Iterable[str], settings: Settings) -> str:
    """Return what is wrong with the hosts that are wished, or with a model's name; empty for nothing."""
    if wish == ():
        return "--hosts: write all, any, or names of hosts with commas between them"
    try:
        choose({host.label: True for host in settings.hosts}, wish)
    except InvalidRequest as error:
        return f"--hosts: {error.message}"
    try:
        for model in models:
            Catalogue(settings.models).check_new(model)
    except InvalidRequest as error:
        return error.message
    return ""


async def _sync(
    settings: Settings, models: Iterable[str], wish: Placement | None, screen: Screen, *, update: bool
) -> int:
    """Pull what is missing, one model after the other; say what became of them, and return the exit status."""
    catalogue = Catalogue(settings.models)
    async with fleet_of(settings) as fleet:
        managed = Managed(fleet, catalogue, settings)
        results = []
        for model in models:
            placement = wish or catalogue.placement(model) or settings.placement
            results.append(await sync(managed, model, placement, partial(screen.show, model), update=update))
    if any(result.pulled for result in results):
        screen.say("")
    for result in results:
        for line in _lines(result, managed.hosts):
            screen.say(line)
    return SUCCESS if all(result.good for result in results) else FAILURE


def _lines(result: Result, hosts: Mapping[str, Host]) -> Iterator[str]:
    """Yield what became of a model, for people."""
    yield from wrap(_where(result, hosts), 4)
    if result.failed:
        yield from wrap(f"  failed: {reasons(result.failed)}", 6)
    if not result.good and any(reason.endswith(_NOT_THERE) for reason in result.failed.values()):
        yield from wrap(f"  {_not_there(result.having)}", 6)
    for label in result.down:
        yield from wrap(f"  {label} is down: {why_down(hosts[label])}", 6)
    if result.digests:
        yield from wrap(f"  differs: {short_digests(result.digests)}; --update pulls the newest", 6)


def _where(result: Result, hosts: Mapping[str, Host]) -> str:
    """Return where a model is, as far as that is known."""
    if result.having:
        nothing = ": nothing to pull" if result.good and not result.pulled else ""
        return f"{result.model} is on {', '.join(result.having)}{nothing}"
    up = [host.view.up for host in hosts.values()]
    if not any(up):
        return f"{result.model}: all hosts are down, and what they have is not known"
    return f"{result.model} is on no host{'' if all(up) else ' that is up'}"


def _not_there(having: Sequence[str]) -> str:
    """Return what can be done about a model that its registry does not have."""
    if not having:
        return "No registry has it: look for a typing error in its name."
    where = ", ".join(having)
    return f"No registry has what was made on a host. If this was made on {where}, `create` it through the gateway."

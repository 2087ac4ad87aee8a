"""`ollama-gateway hosts`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.catalogue import Catalogue
from gateway.commands.configured import add_config, fleet_of, has_hosts, load_settings
from gateway.commands.report import as_json, as_text
from gateway.commands.status import FAILURE, SUCCESS, USAGE
from gateway.management.drift import find_drift

if TYPE_CHECKING:
    import argparse

    from gateway.config import Settings
    from gateway.fleet import Host


def add(command: argparse.ArgumentParser) -> None:
    """Add what the command can be told."""
    command.description = (
        "Ask the hosts of the configuration what they have, and say what is not the same on all of them. "
        "The status is 0 when all are up and alike, 1 when not, 2 for a mistake in the configuration."
    )
    add_config(command)
    command.add_argument("--json", action="store_true", help="write JSON, for programs")
    command.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    settings = load_settings(options)
    if not has_hosts(settings):
        return USAGE
    hosts = asyncio.run(_look(settings))
    catalogue = Catalogue(settings.models)
    drift = find_drift(
        {host.label: host.view for host in hosts}, lambda key: catalogue.placement(key) or settings.placement
    )
    print((as_json if options.json else as_text)(hosts, drift), end="")
    return SUCCESS if not drift and all(host.view.up for host in hosts) else FAILURE


async def _look(settings: Settings) -> list[Host]:
    """Return the hosts as they are now."""
    async with fleet_of(settings) as fleet:
        return list(fleet.hosts.values())

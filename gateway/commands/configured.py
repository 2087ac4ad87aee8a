"""What commands share that begin with the configuration."""

from __future__ import annotations

import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.config import Settings, load
from gateway.fleet import Fleet
from gateway.metrics import Metrics

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator


def add_config(command: argparse.ArgumentParser) -> None:
    """Let a command be told where its configuration is."""
    command.add_argument("--config", metavar="FILE", help="the configuration; else $OLLAMA_GATEWAY_CONFIG, else none")


def load_settings(options: argparse.Namespace) -> Settings:
    """Return the settings that a call of a command means.

    Raises:
        ConfigError: Something is wrong with them.
    """
    file = options.config or os.environ.get("OLLAMA_GATEWAY_CONFIG")
    return load(Path(file) if file else None, os.environ)


def has_hosts(settings: Settings) -> bool:
    """Tell whether there are hosts; where there are none, say so."""
    if not settings.hosts:
        print("There are no hosts to ask: `hosts` is empty in the configuration. Add one.", file=sys.stderr)
    return bool(settings.hosts)


@asynccontextmanager
async def fleet_of(settings: Settings) -> AsyncIterator[Fleet]:
    """Look at the hosts of the configuration, without a gateway that serves; each was looked at when the block begins.

    The simulated host is not among them.
    """
    fleet = Fleet(
        settings.hosts,
        timeouts=settings.timeouts,
        interval=settings.probe_interval,
        metrics=Metrics(),
        learns=False,
    )
    fleet.start()
    try:
        await fleet.seen()
        yield fleet
    finally:
        await fleet.stop()

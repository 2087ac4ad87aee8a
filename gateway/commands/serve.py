"""`ollama-gateway serve`."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

from gateway.app import Gateway
from gateway.commands.configured import add_config, load_settings
from gateway.commands.listening import cannot_listen
from gateway.commands.status import FAILURE, SUCCESS
from gateway.config.checks import address
from gateway.log import log, set_up
from gateway.serving import Server, allow_many_connections, bind
from gateway.simulator import Simulator

if TYPE_CHECKING:
    import argparse
    import socket


def add(command: argparse.ArgumentParser) -> None:
    """Add what the command can be told."""
    add_config(command)
    command.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    settings = load_settings(options)
    set_up(settings.log)
    allow_many_connections()
    try:
        gateway = Gateway(settings, Simulator(parallel=16, token_seconds=0.015) if settings.demo else None)
    except (OSError, ValueError) as error:
        hint = "The simulated host needs a port of its own; `demo: false` does without it." if settings.demo else ""
        print(f"The gateway cannot be set up: {str(error).rstrip('.')}. {hint}".rstrip(), file=sys.stderr)
        return FAILURE
    try:
        listener = bind(*address(settings.listen))
    except OSError as error:
        return cannot_listen(settings.listen, error, "`listen`")
    log(
        "serving",
        url=_url(listener),
        hosts=list(gateway.fleet.hosts),
        keys=len(settings.keys),
        version=version("ollama-gateway"),
    )
    Server(gateway, settings).run(sockets=[listener])
    return SUCCESS


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

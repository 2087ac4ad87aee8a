"""The command line."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.app import Gateway
from gateway.config import ConfigError, Settings, load
from gateway.config.checks import address
from gateway.log import log, set_up
from gateway.serving import Server, bind
from gateway.simulator import Simulator

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

USAGE_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the process's exit status: 0 for success, 1 for failure, 2 for a mistake in the call."""
    options = _parser().parse_args(arguments)
    try:
        result: int = options.command(options)
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return USAGE_ERROR
    return result


def _serve(options: argparse.Namespace) -> int:
    settings = _load(options)
    set_up(settings.log)
    listener = _bind(settings.listen)
    if listener is None:
        return 1
    gateway = Gateway(settings, Simulator(parallel=16, token_seconds=0.015) if settings.demo else None)
    host, port = listener.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    log(
        "serving",
        url=f"{url}/v1",
        hosts=[host.settings.url for host in gateway.fleet.hosts.values()],
        keys=len(settings.keys),
        version=version("ollama-gateway"),
    )
    Server(gateway, settings).run(sockets=[listener])
    return 0


def _check(options: argparse.Namespace) -> int:
    settings = _load(options)
    keys = f"{len(settings.keys)} keys" if settings.keys else "no keys"
    print(f"The configuration is good: {len(settings.hosts)} hosts, {keys}, listening on {settings.listen}.")
    return 0


def _load(options: argparse.Namespace) -> Settings:
    file = options.config or os.environ.get("OLLAMA_GATEWAY_CONFIG")
    return load(Path(file) if file else None, os.environ)


def _bind(listen: str) -> socket.socket | None:
    """Listen, or say why that cannot be."""
    try:
        return bind(*address(listen))
    except OSError as error:
        hint = {
            errno.EADDRINUSE: "Something else listens there. Stop it, or choose another port with `listen`.",
            errno.EACCES: "Ports below 1024 need special rights. Choose another one with `listen`.",
            errno.EADDRNOTAVAIL: "This machine does not have that address.",
        }.get(error.errno or 0, "")
        print(f"Cannot listen on {listen}: {error.strerror}. {hint}".rstrip(), file=sys.stderr)
        return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "ollama-gateway", description="One OpenAI-compatible address in front of Ollama hosts."
    )
    parser.add_argument("--version", action="version", version=version("ollama-gateway"))
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, text in (
        ("serve", _serve, "serve requests"),
        ("check", _check, "check the configuration and say what is wrong with it"),
    ):
        command = commands.add_parser(name, help=text, description=text.capitalize() + ".")
        command.add_argument(
            "--config", metavar="FILE", help="the configuration file; else $OLLAMA_GATEWAY_CONFIG, else none"
        )
        command.set_defaults(command=run)
    return parser


if __name__ == "__main__":
    sys.exit(main())

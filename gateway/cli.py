"""The command line."""

from __future__ import annotations

import argparse
import asyncio
import errno
import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.app import Gateway
from gateway.config import ConfigError, Settings, load
from gateway.config.checks import address
from gateway.log import log, set_up
from gateway.serving import Server, allow_many_connections, bind
from gateway.simulator import FAULTS, Simulator, fault, named, serve

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

FAILURE = 1
USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status: 0 success, 1 failure, 2 a mistake in the call or the file."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return USAGE


def _serve(options: argparse.Namespace) -> int:
    settings = _load(options)
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
        return _cannot_listen(settings.listen, error, "`listen`")
    log(
        "serving",
        url=f"{_url(listener)}/v1",
        hosts=list(gateway.fleet.hosts),
        keys=len(settings.keys),
        version=version("ollama-gateway"),
    )
    Server(gateway, settings).run(sockets=[listener])
    return 0


def _check(options: argparse.Namespace) -> int:
    settings = _load(options)
    hosts, keys = len(settings.hosts), len(settings.keys)
    print(f"The configuration is good: {_count(hosts, 'host')}, {_count(keys, 'key')}, listening on {settings.listen}.")
    return 0


def _simulate(options: argparse.Namespace) -> int:
    try:
        models = named(*options.model.split(","))
    except ValueError as error:
        print(f"--model: {error}", file=sys.stderr)
        return USAGE
    simulator = Simulator(
        models=models,
        version=options.ollama_version,
        port=options.port,
        parallel=options.parallel,
        load_seconds=options.load_seconds,
        token_seconds=options.token_seconds,
    )
    simulator.script(*(fault(name, options.fault_path) for name in options.fault))
    try:
        url = simulator.url
        print(f"A simulated Ollama {options.ollama_version} with {options.model} at {url}", flush=True)
        asyncio.run(serve(simulator))
    except OSError as error:
        return _cannot_listen(f"127.0.0.1:{options.port}", error, "--port")
    except KeyboardInterrupt:
        return 0
    return 0


def _load(options: argparse.Namespace) -> Settings:
    file = options.config or os.environ.get("OLLAMA_GATEWAY_CONFIG")
    return load(Path(file) if file else None, os.environ)


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _cannot_listen(where: str, error: OSError, setting: str) -> int:
    """Say why, and what to do."""
    hint = {
        errno.EADDRINUSE: f"Something else listens there. Stop it, or choose another port with {setting}.",
        errno.EACCES: f"Ports below 1024 need special rights. Choose another one with {setting}.",
        errno.EADDRNOTAVAIL: "This machine does not have that address.",
    }.get(error.errno or 0, "")
    print(f"Cannot listen on {where}: {error.strerror or error}. {hint}".rstrip(), file=sys.stderr)
    return FAILURE


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: write a number from 0 to 65535")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "ollama-gateway", description="One OpenAI-compatible address in front of one or many Ollama hosts."
    )
    parser.add_argument("--version", action="version", version=version("ollama-gateway"))
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, text in (
        ("serve", _serve, "serve requests"),
        ("check", _check, "check the configuration and say what is wrong with it"),
    ):
        command = commands.add_parser(name, help=text, description=f"{text.capitalize()}.")
        command.add_argument(
            "--config", metavar="FILE", help="the configuration; else $OLLAMA_GATEWAY_CONFIG, else none"
        )
        command.set_defaults(command=run)
    _add_simulate(commands.add_parser("simulate", help="answer as an Ollama host does, to test your own code"))
    return parser


def _add_simulate(command: argparse.ArgumentParser) -> None:
    command.description = "Answer as an Ollama host does, without a model: to test your own code."
    command.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    command.add_argument("--port", type=_port, default=11434, help="where to listen on 127.0.0.1; 0 chooses one")
    command.add_argument("--model", default="demo", metavar="NAME[,NAME…]", help="the models that it has")
    command.add_argument("--ollama-version", default="0.33.0", help="the version that it plays")
    command.add_argument("--parallel", type=int, default=4, help="requests that a model answers at once")
    command.add_argument("--load-seconds", type=float, default=0.0, help="how long a model takes to load")
    command.add_argument("--token-seconds", type=float, default=0.015, help="the time between two tokens")
    command.add_argument(
        "--fault",
        action="append",
        default=[],
        choices=sorted(FAULTS),
        help="what goes wrong with the next request; again for the one after it",
    )
    command.add_argument("--fault-path", default="/api/chat", metavar="PATH", help="the path that faults wait for")
    command.set_defaults(command=_simulate)


if __name__ == "__main__":
    sys.exit(main())

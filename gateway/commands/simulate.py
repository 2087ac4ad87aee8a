"""`ollama-gateway simulate`."""

from __future__ import annotations

import argparse
import asyncio
import sys

from msgspec.structs import replace

from gateway.commands.listening import cannot_listen
from gateway.commands.status import SUCCESS, USAGE
from gateway.simulator import FAULTS, Simulator, fault, named, serve

_DOWNLOAD = 1_000_000_000
"""Bytes of a model that can be pulled, so that there is progress to see."""

_TOLD_EVERY = 0.06
"""Seconds after which Ollama tells how far a download is."""


def add(command: argparse.ArgumentParser) -> None:
    """Add what the command can be told."""
    command.description = "Answer as an Ollama host does, without a model: to test your own code."
    command.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    command.add_argument("--port", type=_port, default=11434, help="where to listen on 127.0.0.1; 0 chooses one")
    command.add_argument("--model", default="demo", metavar="NAME[,NAME…]", help="the models that it has")
    command.add_argument("--registry", default="demo", metavar="NAME[,NAME…]", help="the models that it can pull")
    command.add_argument("--ollama-version", default="0.33.0", help="the version that it plays")
    command.add_argument("--parallel", type=int, default=4, help="requests that a model answers at once")
    command.add_argument("--load-seconds", type=float, default=0.0, help="how long a model takes to load")
    command.add_argument("--token-seconds", type=float, default=0.015, help="the time between two tokens")
    command.add_argument("--pull-seconds", type=float, default=0.0, help="how long a model takes to download")
    command.add_argument(
        "--fault",
        action="append",
        default=[],
        choices=sorted(FAULTS),
        help="what goes wrong with the next request; again for the one after it",
    )
    command.add_argument("--fault-path", default="/api/chat", metavar="PATH", help="the path that faults wait for")
    command.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    found = {}
    for flag in ("model", "registry"):
        try:
            found[flag] = named(*getattr(options, flag).split(","))
        except ValueError as error:
            print(f"--{flag}: {error}", file=sys.stderr)
            return USAGE
    simulator = Simulator(
        models=found["model"],
        registry=[replace(model, size=_DOWNLOAD) for model in found["registry"]],
        version=options.ollama_version,
        port=options.port,
        parallel=options.parallel,
        load_seconds=options.load_seconds,
        token_seconds=options.token_seconds,
        pull_seconds=options.pull_seconds,
        pull_steps=max(4, round(options.pull_seconds / _TOLD_EVERY)),
    )
    simulator.script(*(fault(name, options.fault_path) for name in options.fault))
    try:
        url = simulator.url
        print(f"A simulated Ollama {options.ollama_version} with {options.model} at {url}", flush=True)
        asyncio.run(serve(simulator))
    except BrokenPipeError:
        raise  # it is the output's, not the port's
    except OSError as error:
        return cannot_listen(f"127.0.0.1:{options.port}", error, "--port")
    except KeyboardInterrupt:
        return SUCCESS
    return SUCCESS


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: write a number from 0 to 65535")
    return int(text)

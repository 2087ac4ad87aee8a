"""The command line."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import TYPE_CHECKING

from gateway.commands import check, hosts, serve, simulate, sync
from gateway.commands.status import INTERRUPTED, UNREAD, USAGE
from gateway.config import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = (
    ("serve", serve.add, "serve requests"),
    ("check", check.add, "check the configuration and say what is wrong with it"),
    ("hosts", hosts.add, "ask the hosts what they have, and say what is not the same on all"),
    ("sync", sync.add, "pull models on the hosts that lack them"),
    ("simulate", simulate.add, "answer as an Ollama host does, to test your own code"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status; `gateway.commands.status` says what each means."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        status = command(options)
        sys.stdout.flush()
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The interpreter would complain at its end about what it still has to write.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "ollama-gateway", description="One OpenAI-compatible address in front of one or many Ollama hosts."
    )
    parser.add_argument("--version", action="version", version=version("ollama-gateway"))
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, add, text in COMMANDS:
        add(commands.add_parser(name, help=text, description=f"{text.capitalize()}."))
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""`ollama-gateway check`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.commands.configured import add_config, load_settings
from gateway.commands.status import SUCCESS

if TYPE_CHECKING:
    import argparse


def add(command: argparse.ArgumentParser) -> None:
    """Add what the command can be told."""
    add_config(command)
    command.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    settings = load_settings(options)
    hosts, keys = len(settings.hosts), len(settings.keys)
    print(f"The configuration is good: {_count(hosts, 'host')}, {_count(keys, 'key')}, listening on {settings.listen}.")
    return SUCCESS


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"

"""What tests of commands share: simulated hosts, and a call of `ollama-gateway` in front of them."""

from __future__ import annotations

import json
from typing import Any

from gateway.simulator import Simulator
from tests.e2e.programs import COMMAND, run


def settings(*hosts: Simulator | str, **more: Any) -> dict[str, str]:
    """Return the environment in which these are the hosts `gpu-1`, `gpu-2` and so on, with further settings."""
    urls = [host.url if isinstance(host, Simulator) else host for host in hosts]
    named = [{"url": url, "name": f"gpu-{place}"} for place, url in enumerate(urls, start=1)]
    said = {"hosts": named, **more}
    return {
        f"OLLAMA_GATEWAY_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in said.items()
    }


async def call(*arguments: str, **environ: str) -> tuple[int, list[str], list[str]]:
    """Run a command to its end; return its exit status, and the lines of its output and of its errors."""
    status, out, err = await run(*COMMAND, *arguments, **environ)
    return status, out.splitlines(), err.splitlines()


def has(host: Simulator) -> list[str]:
    """Return the models that a host has."""
    return sorted(model.full_name.short for model in host.models.values())


def pulls(host: Simulator) -> list[str]:
    """Return the models that a host was told to pull."""
    return [request.json["model"] for request in host.requests if request.path == "/api/pull"]

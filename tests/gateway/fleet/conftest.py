from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch):
    """Looks that one failure brings about follow each other at once; all others are asked for by the tests."""
    monkeypatch.setattr("gateway.fleet.prober.PAUSE", 0.01)


@pytest.fixture
def soon(monkeypatch):
    """Let a host that is down be looked at again at once."""
    monkeypatch.setattr("gateway.fleet.prober.FIRST_WAIT", 0.01)


@pytest.fixture
def impatient(monkeypatch):
    """Give a host little time to tell about itself."""
    monkeypatch.setattr("gateway.fleet.prober.TIMEOUT", 0.6)


@pytest.fixture
def log(monkeypatch):
    """Return the lines about hosts that have been logged so far, all or those of one event."""
    lines: list[dict[str, Any]] = []
    monkeypatch.setattr("gateway.log._write", lines.append)
    return lambda event="": [line for line in lines if event in ("", line["event"])]

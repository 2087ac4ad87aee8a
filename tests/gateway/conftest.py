"""What tests of the gateway have in common."""

from __future__ import annotations

import json

import pytest

from gateway.log import set_up


@pytest.fixture
def log(tmp_path, monkeypatch):
    """Return what has been logged so far."""
    monkeypatch.setattr("gateway.log._write", None)
    file = (tmp_path / "log").open("wb")
    set_up("json", file)
    yield lambda: [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    file.close()

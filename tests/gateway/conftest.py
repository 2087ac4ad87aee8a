"""What tests of the gateway have in common."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable

import pytest
import trustme

from gateway.log import set_up


@pytest.fixture
def log(tmp_path, monkeypatch):
    """Return what has been logged so far."""
    monkeypatch.setattr("gateway.log._write", None)
    file = (tmp_path / "log").open("wb")
    set_up("json", file)
    yield lambda: [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    file.close()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """What trusts the servers of the tests."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def certified(authority: trustme.CA) -> Callable[[str], ssl.SSLContext]:
    """What a server needs to speak for a name."""

    def certify(name: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        return context

    return certify

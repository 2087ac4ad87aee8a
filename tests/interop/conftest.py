"""These clients could call home, read keys and proxies from the environment, and fetch data: here they cannot."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.clients.proof import pytest_runtest_call as pytest_runtest_call
from tests.interop.installed import TIKTOKEN
from tests.native.conftest import fleet as fleet
from tests.native.conftest import served as served
from tests.native.conftest import way as way

SETTINGS = ("OPENAI_", "OLLAMA_", "LANGCHAIN_", "LANGSMITH_", "LC_OUTPUT_VERSION")
LOOPBACK = {"127.0.0.1", "::1", "localhost"}


@pytest.fixture(scope="package", autouse=True)
def _alone() -> Iterator[None]:
    """Leave this process nothing but this machine, and no settings of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(SETTINGS) or name.lower().endswith("_proxy"):
                patch.delenv(name)
        patch.setenv("TIKTOKEN_CACHE_DIR", str(TIKTOKEN))
        _only_loopback(patch)
        yield


def _only_loopback(patch: pytest.MonkeyPatch) -> None:
    """Fail whatever connects, or looks up a name, outside of this machine."""
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def near(host: Any) -> None:
        assert host in LOOPBACK, f"a test wanted to reach {host}"

    def checked_connect(self: socket.socket, address: Any) -> None:
        near(address[0])
        connect(self, address)

    def checked_connect_ex(self: socket.socket, address: Any) -> int:
        near(address[0])
        return connect_ex(self, address)

    def checked_getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        near(host)
        return getaddrinfo(host, *args, **kwargs)

    patch.setattr(socket.socket, "connect", checked_connect)
    patch.setattr(socket.socket, "connect_ex", checked_connect_ex)
    patch.setattr(socket, "getaddrinfo", checked_getaddrinfo)

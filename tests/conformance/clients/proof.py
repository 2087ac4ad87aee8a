"""What a test says that it uses must have been used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.conformance.clients.uses import Client, Use, Way, used_by


class Called(NamedTuple):
    """A call of a client's method.

    Attributes:
        client: Whose method it is.
        method: Its name.
        parameters: What it was given.
        way: How it was asked.
    """

    client: Client
    method: str
    parameters: frozenset[str]
    way: Way


SEEN: list[Called] = []
"""Every call of the running test."""


def prove(use: Use) -> None:
    """Hold a row to the calls of the running test. What they had for an effect, the test itself shows.

    Raises:
        AssertionError: The method was not called so.
    """
    calls = [
        called for called in SEEN if (called.client, called.method, called.way) == (use.client, use.method, use.way)
    ]
    assert any(use.name in called.parameters or not use.name for called in calls), f"{use} was not used"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Hold what a test says that it uses to what it called. For the `conftest.py` of such tests."""
    SEEN.clear()
    yield
    for use in used_by(item):
        prove(use)

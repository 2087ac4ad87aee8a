"""The rows of the page, and the mark by which a test says that it shows some."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias, cast, get_args

import pytest

Client: TypeAlias = Literal["Python", "JavaScript", "LangChain"]
Way: TypeAlias = Literal["sync", "async", "sync, streamed", "async, streamed"]

CLIENTS: tuple[Client, ...] = get_args(Client)
WAYS: tuple[Way, ...] = get_args(Way)
"""The ways in which a client can be asked: in a thread or in an event loop, for all at once or for its pieces."""

PYTHON: Client = "Python"
JAVASCRIPT: Client = "JavaScript"
LANGCHAIN: Client = "LangChain"


class Use(NamedTuple):
    """One parameter of a client's method, in one way of asking.

    Attributes:
        client: Whose method it is.
        method: Its name; that of a class for what the class is made with, or holds.
        parameter: Its name; where it matters with a value, as in `status_code: 404`. Empty for a method without any.
        way: How it is asked.
        remark: What to know about it; in Markdown.
    """

    client: Client
    method: str
    parameter: str
    way: Way
    remark: str = ""

    @property
    def name(self) -> str:
        """The parameter's name, without a value."""
        return self.parameter.partition(": ")[0]


def uses(
    client: Client, method: str, *parameters: str, ways: tuple[Way, ...] = (), remark: str = ""
) -> pytest.MarkDecorator:
    """Mark a test, or a case of one, that shows what some parameters of a method do.

    Args:
        client: Whose method it is.
        method: Its name.
        parameters: Their names; none for a method without parameters.
        ways: How the test asks; if it is not said, the test has a parameter `way` that says it.
        remark: What to know about it; in Markdown.
    """
    return pytest.mark.uses(client, method, parameters or ("",), ways, remark)


def used_by(test: pytest.Item) -> list[Use]:
    """Return what a test shows."""
    return [
        Use(client, method, parameter, way, remark)
        for mark in test.iter_markers("uses")
        for client, method, parameters, ways, remark in [mark.args]
        for way in ways or (_way(test),)
        for parameter in parameters
    ]


def _way(test: pytest.Item) -> Way:
    assert isinstance(test, pytest.Function)
    return cast("Way", test.callspec.params["way"])

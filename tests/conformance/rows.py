"""The rows of the table, and the mark by which a test says that it shows one."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias, get_args

import pytest

Endpoint: TypeAlias = Literal[
    "POST /v1/chat/completions",
    "POST /v1/completions",
    "POST /v1/embeddings",
    "GET /v1/models",
    "GET /v1/models/{model}",
    "DELETE /v1/models/{model}",
]
Verdict: TypeAlias = Literal["honoured", "emulated", "refused", "accepted without effect"]

ENDPOINTS: tuple[Endpoint, ...] = get_args(Endpoint)
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

CHAT: Endpoint = "POST /v1/chat/completions"
COMPLETIONS: Endpoint = "POST /v1/completions"
EMBEDDINGS: Endpoint = "POST /v1/embeddings"
MODELS: Endpoint = "GET /v1/models"
MODEL: Endpoint = "GET /v1/models/{model}"
DELETE_MODEL: Endpoint = "DELETE /v1/models/{model}"

NOT_NAMED = "not named in `x-gateway-ignored`"
"""Within the remark of a field that says so little that it is not named where others without effect are."""


class Row(NamedTuple):
    """What becomes of a parameter.

    Attributes:
        endpoint: Where it is sent.
        parameter: Its path within the request, such as `tools[].function.strict`; where it matters with one of its
            values, as in `tool_choice: required`. Empty for a request that has no parameters.
        verdict: What becomes of it.
        remark: When that is so, or how; in Markdown.
    """

    endpoint: Endpoint
    parameter: str
    verdict: Verdict
    remark: str = ""

    @property
    def path(self) -> str:
        """The parameter's path, without a value."""
        return self.parameter.partition(": ")[0]

    @property
    def word(self) -> str:
        """The value that it is about; empty when it is about any."""
        return self.parameter.partition(": ")[2]


def is_within(path: str, whole: str) -> bool:
    """Tell whether a path is that of something or of a part of it."""
    return path == whole or path.startswith((f"{whole}.", f"{whole}["))


def shows(endpoint: Endpoint, verdict: Verdict, *parameters: str, remark: str = "") -> pytest.MarkDecorator:
    """Mark a test, or a case of one, that shows what becomes of some parameters."""
    return pytest.mark.shows(*(Row(endpoint, parameter, verdict, remark) for parameter in parameters))


def shown_by(test: pytest.Item) -> list[Row]:
    """Return what a test shows."""
    return [row for mark in test.iter_markers("shows") for row in mark.args]

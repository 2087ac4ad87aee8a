from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from adapters import errors
from adapters.errors import (
    CallerError,
    GatewayError,
    GatewayFault,
    HostError,
    InvalidRequest,
    LacksCapability,
    MethodNotAllowed,
    SchemaMismatch,
)

ROW = re.compile(r"^[│ ]*[├└]── (?P<name>\w+) *(?P<status>\d{3})? *(?P<code>\w+)?", re.MULTILINE)


def family(parent: type[GatewayError]) -> Iterator[type[GatewayError]]:
    for child in parent.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from family(child)


def test_the_tree_in_the_documentation_is_the_tree() -> None:
    documented = {row["name"]: (row["status"], row["code"]) for row in ROW.finditer(errors.__doc__ or "")}
    branches = {"CallerError", "HostError", "GatewayFault"}
    found = {kind.__name__: (str(kind.status), kind.default_code) for kind in family(GatewayError)}
    assert documented.keys() == found.keys()
    assert {name: row for name, row in documented.items() if name not in branches} == {
        name: row for name, row in found.items() if name not in branches
    }


@pytest.mark.parametrize(
    ("branch", "fault", "elsewhere"),
    [(CallerError, "caller", {"never"}), (HostError, "host", {"once", "always"}), (GatewayFault, "gateway", {"never"})],
)
def test_whose_fault_it_is_decides_whether_another_host_may_do(
    branch: type[GatewayError], fault: str, elsewhere: set[str]
) -> None:
    kinds = {branch, *family(branch)}
    assert {kind.fault for kind in kinds} == {fault}
    assert {kind.elsewhere for kind in kinds} == elsewhere


def test_an_error_says_what_happened() -> None:
    error = InvalidRequest("No.", param="messages", code="unsupported_value", detail="why", retry_after=1.5)
    assert str(error) == error.message == "No."
    assert (error.param, error.code, error.detail, error.retry_after) == ("messages", "unsupported_value", "why", 1.5)


def test_an_error_has_the_code_of_its_kind() -> None:
    error = InvalidRequest("No.")
    assert (error.param, error.code, error.detail, error.retry_after) == (None, "invalid_value", "", None)


def test_a_wrong_method_names_the_right_ones() -> None:
    error = MethodNotAllowed("No.", allow=("GET", "HEAD"))
    assert (error.status, error.code, error.allow) == (405, "method_not_allowed", ("GET", "HEAD"))


def test_a_lack_names_the_capability_and_the_field_that_needs_it() -> None:
    error = LacksCapability("No.", capability="vision", param="messages[0].content")
    assert (error.status, error.code, error.capability, error.param) == (
        400,
        "unsupported_value",
        "vision",
        "messages[0].content",
    )


def test_an_answer_that_breaks_its_schema_is_not_asked_for_by_sdks_again() -> None:
    error = SchemaMismatch("No.")
    assert (error.status, error.type, error.code, error.retryable) == (502, "server_error", "schema_mismatch", False)

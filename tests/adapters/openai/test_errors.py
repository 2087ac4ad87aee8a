from __future__ import annotations

import pytest

from adapters.errors import GatewayError, HostBusy, InvalidRequest, ModelNotFound
from adapters.openai.errors import encode_error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            InvalidRequest('Say "no".', param="n", code="unsupported_value", detail="for the log"),
            b'{"error":{"message":"Say \\"no\\".","type":"invalid_request_error","param":"n",'
            b'"code":"unsupported_value"}}',
        ),
        (
            ModelNotFound("There is no such model."),
            b'{"error":{"message":"There is no such model.","type":"invalid_request_error","param":null,'
            b'"code":"model_not_found"}}',
        ),
        (
            HostBusy("All hosts are busy.", retry_after=2),
            b'{"error":{"message":"All hosts are busy.","type":"server_error","param":null,"code":"overloaded"}}',
        ),
    ],
)
def test_an_error_has_all_four_keys(error: GatewayError, expected: bytes) -> None:
    assert encode_error(error) == expected

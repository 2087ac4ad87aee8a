"""A failure in OpenAI's shape."""

from __future__ import annotations

import msgspec

from adapters.errors import GatewayError


def encode_error(error: GatewayError) -> bytes:
    """Return the body of an error response, with all four keys (wire.md 11.3)."""
    fields = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    return msgspec.json.encode({"error": fields})

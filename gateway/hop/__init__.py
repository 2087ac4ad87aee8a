"""The HTTP/1.1 client of the hot path: all connections to one host, and nothing that a model's answer does not need.

Why it exists and what it costs stands in docs/decisions/0001-own-http-client.md. Everything else that speaks HTTP in
the gateway uses httpx2.
"""

from __future__ import annotations

from gateway.hop.limits import Limits, Timeouts
from gateway.hop.pool import Hop
from gateway.hop.response import HopResponse

__all__ = ["Hop", "HopResponse", "Limits", "Timeouts"]

"""Asks a host about itself. This is the one module that httpx2 enters through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2

from adapters.errors import HostBroken, HostError, HostTimeout, HostUnreachable
from adapters.ollama.errors import decode_error

if TYPE_CHECKING:
    from adapters.types import Call
    from gateway.fleet.host import Host

LIMIT = 32 * 1024 * 1024
"""The largest answer about itself that a host may give, in bytes; a thousand models take about one million."""


class Asker:
    """The connection over which one host is asked about itself.

    It follows no redirects and uses no proxy of the environment.
    """

    def __init__(self, host: Host, timeout: float) -> None:
        self._client = httpx2.AsyncClient(
            base_url=host.settings.url,
            headers=host.settings.headers,
            verify=host.context or False,
            trust_env=False,
            timeout=timeout,
        )

    async def ask(self, call: Call) -> bytes:
        """Return the body of a host's answer.

        Raises:
            HostError: The host cannot be reached, is too slow, refuses, or answers with something else than 200.
        """
        try:
            headers = [*call.headers]
            async with self._client.stream(
                call.method, call.target, content=call.body or None, headers=headers
            ) as answer:
                body = bytearray()
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > LIMIT:
                        raise HostBroken("A host sent too much about itself.", detail=f"over {LIMIT} bytes")
        except httpx2.TimeoutException as error:
            raise HostTimeout(
                "A host did not answer in time.", detail=f"{call.target}: {type(error).__name__}"
            ) from error
        except httpx2.ConnectError as error:
            raise HostUnreachable("A host cannot be reached.", detail=str(error)) from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise HostBroken("A host's answer cannot be read.", detail=f"{call.target}: {error}") from error
        if answer.status_code == httpx2.codes.OK:
            return bytes(body)
        refusal = decode_error(answer.status_code, bytes(body), "")
        if isinstance(refusal, HostError):
            raise refusal
        detail = f"{call.target}: {answer.status_code} {refusal.message}"
        raise HostBroken("A host does not answer as Ollama does.", detail=detail)

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()

"""Asks a host about itself. httpx2 enters through this module, and through the one that fetches images."""

from __future__ import annotations

import asyncio
import errno
import ssl
from typing import TYPE_CHECKING

import httpx2

from adapters.errors import HostBroken, HostError, HostTimeout, HostUnreachable, OutOfDescriptors
from adapters.ollama.errors import decode_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapters.types import Call
    from gateway.fleet.host import Host

LIMIT = 32 * 1024 * 1024
"""The largest answer about itself that a host may give, in bytes; a thousand models take about one million."""


class Asker:
    """The connections over which one host is asked about itself.

    It follows no redirects and uses no proxy of the environment.

    Args:
        host: The host.
        timeout: Seconds that a call may take, from the connection to the last byte of the answer.
    """

    def __init__(self, host: Host, timeout: float) -> None:
        self._timeout = timeout
        self._client = httpx2.AsyncClient(
            base_url=host.settings.url,
            headers=host.headers,
            # Plain HTTP needs no context. httpx2 wants one all the same; this one trusts nobody.
            verify=host.context or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            trust_env=False,
            # Connecting and the TLS handshake may each take this long. They end before the whole call's time does, for
            # httpcore2 leaves the socket of a cancelled handshake open.
            timeout=httpx2.Timeout(None, connect=timeout / 3),
        )

    async def ask(self, call: Call) -> bytes:
        """Return the body of a host's answer.

        Raises:
            HostError: The host cannot be reached, is too slow, refuses, or answers with something else than 200.
            OutOfDescriptors: The process may not open another socket.
        """
        try:
            async with asyncio.timeout(self._timeout):
                status, body = await self._exchange(call)
        except (TimeoutError, httpx2.ConnectTimeout) as error:
            missing = "connection" if isinstance(error, httpx2.ConnectTimeout) else "whole answer"
            detail = f"{call.target}: no {missing} in time"
            raise HostTimeout("A host did not answer in time.", detail=detail) from error
        except httpx2.ConnectError as error:
            roots = [*_roots(error)]
            if any(isinstance(root, OSError) and root.errno in (errno.EMFILE, errno.ENFILE) for root in roots):
                raise OutOfDescriptors(
                    "The gateway has no room for another connection.", detail="raise the limit: ulimit -n"
                ) from error
            raise HostUnreachable("A host cannot be reached.", detail="; ".join(map(str, roots))) from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise HostBroken("A host's answer cannot be read.", detail=f"{call.target}: {error}") from error
        if status == httpx2.codes.OK:
            return body
        refusal = decode_error(status, body, "")
        if isinstance(refusal, HostError):
            raise refusal
        detail = f"{call.target}: {status} {refusal.message}"
        raise HostBroken("A host does not answer as Ollama does.", detail=detail)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _exchange(self, call: Call) -> tuple[int, bytes]:
        """Return the status and body of an answer."""
        async with self._client.stream(
            call.method, call.target, content=call.body or None, headers=[*call.headers]
        ) as answer:
            body = bytearray()
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > LIMIT:
                    raise HostBroken("A host sent too much about itself.", detail=f"over {LIMIT} bytes")
        return answer.status_code, bytes(body)


def _roots(error: BaseException) -> Iterator[BaseException]:
    """Yield what an error began with: the operating system's words for each address that was tried."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _roots(one)
    elif cause := error.__cause__ or error.__context__:  # httpcore2 raises `from None`
        yield from _roots(cause)
    else:
        yield error

"""Header → caller."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from adapters.errors import Unauthorized

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

    from gateway.config import KeySettings
    from gateway.record import Record


class Keyring:
    """The keys that callers may use.

    Secrets are kept and compared as SHA-256 only: no dump or traceback shows one, and because nobody can aim a digest,
    the time that a look-up takes tells nothing about a secret.
    """

    def __init__(self, keys: Sequence[KeySettings]) -> None:
        self._names = {
            bytes.fromhex(key.sha256) if key.sha256 else _digest(key.secret.encode()): key.name for key in keys
        }

    def __len__(self) -> int:
        return len(self._names)

    def name(self, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """Return the name of the key that a request carries; empty when no keys are set, for then none is asked for.

        Raises:
            Unauthorized: There is no key in `Authorization: Bearer` or `x-api-key`, or not one of ours.
        """
        if not self._names:
            return ""
        secret = _secret(headers)
        if not secret:
            raise Unauthorized("No API key was given. Send it as `Authorization: Bearer KEY`.")
        name = self._names.get(_digest(secret))
        if name is None:
            raise Unauthorized("The API key is not known here. Check it for typing errors, or ask for a new one.")
        return name


class RequireKey:
    """Lets a request through to an endpoint when its key is known, before anything of its body is read."""

    def __init__(self, app: ASGIApp, keyring: Keyring) -> None:
        self._app = app
        self._keyring = keyring

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record: Record = scope["record"]
        record.caller = self._keyring.name(scope["headers"])
        await self._app(scope, receive, send)


def _secret(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the first secret that the headers carry."""
    bearer = key = b""
    for name, value in headers:
        if name == b"authorization":
            scheme, _, rest = value.partition(b" ")
            if scheme.lower() == b"bearer":
                bearer = bearer or rest.strip()
        elif name == b"x-api-key":
            key = key or value.strip()
    return bearer or key


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()

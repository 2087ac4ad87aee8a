"""Header → caller."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from msgspec import Struct

from adapters.errors import Forbidden, Unauthorized
from gateway.record import LONGEST

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

    from gateway.config import KeySettings
    from gateway.record import Record


class Key(Struct, frozen=True):
    """A key, without its secret.

    Attributes:
        name: Who uses it; empty where no keys are set.
        scopes: What it may do besides asking models.
    """

    name: str
    scopes: tuple[str, ...]


_EVERYONE = Key("", ("admin",))


class Keyring:
    """The keys that callers may use.

    Secrets are kept and compared as SHA-256 only: no dump or traceback shows one, and because nobody can aim a digest,
    the time that a look-up takes tells nothing about a secret.
    """

    def __init__(self, keys: Sequence[KeySettings]) -> None:
        self._keys = {
            bytes.fromhex(key.sha256) if key.sha256 else _digest(key.secret.encode()): Key(key.name, key.scopes)
            for key in keys
        }

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, headers: Iterable[tuple[bytes, bytes]]) -> Key:
        """Return the key that a request carries. Where there are no keys, everyone may do everything.

        Raises:
            Unauthorized: There is no key in `Authorization: Bearer` or `x-api-key`, or not one of ours.
        """
        if not self._keys:
            return _EVERYONE
        secret = _secret(headers)
        if not secret:
            raise Unauthorized("No API key was given. Send it as `Authorization: Bearer KEY`.")
        key = self._keys.get(_digest(secret))
        if key is None:
            raise Unauthorized("The API key is not known here. Check it for typing errors, or ask for a new one.")
        return key


class RequireKey:
    """Lets a request through to an endpoint when its key is known, before anything of its body is read.

    Where there are no keys, and the gateway is not open to everyone either, it serves this machine only. Then the page
    of a stranger, open in a browser on this machine, must not get through: not under its own name (the `Origin`
    header), nor under a name that it makes point here (the `Host` header; DNS rebinding). Ollama checks the same
    (wire.md 1.1), and refuses without a word.

    Where it is open to everyone, such a page may ask models, as its owner may. It may not manage them, which a browser
    would let it do unasked (a simple request of the Fetch standard): who opens a page does not mean to change a fleet.

    Args:
        app: The endpoint.
        keyring: The keys.
        open_to_all: Whether everyone may call.
        origins: Whose pages may call where there are no keys; `*` for all.
        scope: What the key must have beside being known; empty for nothing.
    """

    def __init__(
        self, app: ASGIApp, keyring: Keyring, *, open_to_all: bool, origins: Collection[str] = (), scope: str = ""
    ) -> None:
        self._app = app
        self._keyring = keyring
        self._local = not open_to_all and not len(keyring)
        self._origins = frozenset(origin.encode() for origin in origins)
        self._scope = scope

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record: Record = scope["record"]
        if self._local:
            _refuse_strangers(scope["headers"], self._origins)
        else:
            key = self._keyring.find(scope["headers"])
            record.caller = key.name
            if self._scope and self._scope not in key.scopes:
                raise Forbidden(
                    f"The key {key.name!r} lacks the scope `{self._scope}`, which this address needs. "
                    f"Add `scopes: [{self._scope}]` to the key in the configuration of the gateway."
                )
            if self._scope and not len(self._keyring):
                _refuse_pages(scope["headers"], self._origins)
        await self._app(scope, receive, send)


def _refuse_pages(headers: Iterable[tuple[bytes, bytes]], origins: frozenset[bytes]) -> None:
    for name, value in headers:
        if name == b"origin" and not _is_ours(name, value, origins):
            origin = value.decode("latin-1")[:LONGEST]
            raise Forbidden(
                f"Pages of the origin {origin!r} may not manage models here. "
                "Add the origin to `cors.origins` in the configuration of the gateway, or configure a key.",
                detail=f"origin {origin}",
            )


def _refuse_strangers(headers: Iterable[tuple[bytes, bytes]], origins: frozenset[bytes]) -> None:
    for name, value in headers:
        if _is_ours(name, value, origins):
            continue
        hint = "Add it to `cors.origins`, configure a key" if name == b"origin" else "Configure a key"
        raise Forbidden(
            f"Without keys this gateway serves this machine only, and the {name.decode()} header of the request "
            f"names another. {hint}, or `auth: none` if everyone may use it."
        )


def _is_ours(name: bytes, value: bytes, origins: frozenset[bytes]) -> bool:
    """Whether a header names nobody who would have to be refused."""
    return name not in _OURS or bool(_OURS[name](value)) or (name == b"origin" and bool(origins & {b"*", value}))


_PORT = r"(?::\d+)?"
_OURS = {
    # An address needs no name that could be made to point here; nobody owns a name in the last three domains.
    b"host": re.compile(
        rf"(?:localhost|[\d.]+|\[[0-9a-f:.]+\]|[\w.-]+\.(?:localhost|local|internal)){_PORT}".encode(), re.IGNORECASE
    ).fullmatch,
    # Programs on this machine that are no pages of the web have schemes of their own: app://, vscode-webview://.
    b"origin": re.compile(
        rf"https?://(?:localhost|[\w.-]+\.localhost|127[\d.]+|\[::1\]){_PORT}|(?!https?:)[a-z][a-z0-9+.-]*://.*".encode(),
        re.IGNORECASE,
    ).fullmatch,
}
"""What a header may say when it is this machine's own."""


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

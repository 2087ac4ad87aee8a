"""Where a host listens, read from its URL."""

from __future__ import annotations

import re
from base64 import b64encode
from ipaddress import IPv6Address
from urllib.parse import SplitResult, unquote, urlsplit

from msgspec import Struct

_DEFAULT_PORTS = {"http": 80, "https": 443}
_PREFIX = re.compile(r"(/[!-~]*)?")
_DROPPED = re.compile(r"^ |[\x00-\x1f\x7f]").search
"""Characters that `urlsplit` would drop without a word."""


class Origin(Struct, frozen=True):
    """Where a host listens.

    Attributes:
        scheme: `http` or `https`.
        name: The host's name or address, for the resolver and for TLS; an IPv6 address without brackets, with its zone.
        port: The TCP port.
        authority: What the Host header says.
        prefix: The path that comes before every target, without a slash at its end; mostly empty.
        authorization: The value of an Authorization header, when the URL had a user and a password; else empty.
    """

    scheme: str
    name: str
    port: int
    authority: str
    prefix: str = ""
    authorization: bytes = b""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.prefix}"

    def __repr__(self) -> str:
        return f"Origin({self})"  # without the password


def parse_origin(url: str) -> Origin:
    """Read the URL of a host, such as `http://gpu-2.lan:11434` or `https://user:password@box/ollama`.

    Raises:
        ValueError: The URL cannot be a host's; the message says why, without the password.
    """
    if _DROPPED(url):
        raise ValueError("The URL of a host has a space before it, or a control character in it.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        # Python's own words can quote a part of the password.
        raise ValueError("The URL of a host is malformed: its name or its port cannot be read.") from exc
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError("The URL of a host must begin with http:// or https://.")
    if port == 0:
        raise ValueError("The URL of a host must not have port 0.")
    if parts.query or parts.fragment or url.endswith(("?", "#")):
        raise ValueError("The URL of a host must end with its path: a query or a fragment has no meaning there.")
    if not _PREFIX.fullmatch(parts.path):
        raise ValueError("The path in the URL of a host has a character that must be percent-encoded.")
    name, literal = _parse_name(parts)
    default = _DEFAULT_PORTS[parts.scheme]
    return Origin(
        scheme=parts.scheme,
        name=name,
        port=default if port is None else port,
        authority=literal if port in (None, default) else f"{literal}:{port}",
        prefix=parts.path.rstrip("/"),
        authorization=_authorization(parts),
    )


def _parse_name(parts: SplitResult) -> tuple[str, str]:
    """Return the name as the resolver takes it and as the Host header takes it."""
    name = parts.hostname
    if not name:
        raise ValueError("The URL of a host must name the host after its scheme.")
    if ":" in name:
        try:
            address = IPv6Address(name.replace("%25", "%", 1))
        except ValueError as exc:
            raise ValueError(f"The URL of a host has an IPv6 address that is malformed: {exc}.") from exc
        # A zone is this machine's business (RFC 6874): the resolver needs it, the host must not see it.
        return str(address), f"[{str(address).partition('%')[0]}]"
    try:
        ascii_name = name.encode("idna").decode("ascii")
    except UnicodeError as exc:
        raise ValueError(f"The URL of a host has a name that cannot be looked up: {exc}.") from exc
    if not re.fullmatch(r"[a-z0-9._~-]+", ascii_name):
        raise ValueError("The URL of a host has a name with a character that names do not have.")
    return ascii_name, ascii_name


def _authorization(parts: SplitResult) -> bytes:
    """Return Basic credentials (RFC 7617) for the user and password in a URL."""
    if parts.username is None:
        return b""
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return b"Basic " + b64encode(pair.encode())

"""Fetches an image from its URL, and lets nobody reach through the gateway what the configuration does not allow.

A URL comes from a caller, who may mean a machine that only the gateway can reach. So every name is looked up here,
every address of it is checked, and the connection goes to the very address that was checked: a name that means another
address a moment later gains nothing. A redirect is checked in the same way. One message serves for all that cannot or
may not be reached, so that the gateway does not tell what there is in its network.
"""

from __future__ import annotations

import asyncio
import errno
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import httpx2
from msgspec import Struct

from adapters.errors import GatewayBusy, InvalidRequest, OutOfDescriptors
from gateway.config.allow import Allowed
from gateway.images.resolving import Resolver

if TYPE_CHECKING:
    from gateway.config import ImageSettings
    from gateway.images.resolving import Resolve

AT_ONCE = 16
"""URLs that are fetched at once; others wait for their turn."""

PATIENCE = 2
"""How many times as long as a URL may take it may wait for its turn: twice `AT_ONCE` others have had theirs by then."""

REDIRECTS = 5
"""Redirects that are followed from one URL."""

ADDRESSES = 4
"""Addresses of one name that are tried, one after the other."""

SEND_IT = "Send the image itself instead, as a data: URL with base64."

_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|[0-9a-f.]*:[0-9a-f:.]+")
"""A name of the Domain Name System, or an IPv6 address; an IPv4 address looks like a name."""

_REDIRECTING = frozenset({301, 302, 303, 307, 308})


class _Target(Struct, frozen=True):
    """Where an image is.

    Attributes:
        url: The whole URL.
        name: Its host, in small letters and without a dot at the end.
        port: Its port.
        host: Both, as the header `host` has them.
    """

    url: httpx2.URL
    name: str
    port: int
    host: str


class Fetcher:
    """Fetches what is at a URL, within the bounds of the configuration.

    It sends no credentials and no cookies, and asks neither a proxy nor the environment.

    Args:
        settings: What may be fetched.
        resolve: Looks names up; the system's resolver when not given.
        context: How certificates are checked; by the system's authorities when not given.
    """

    def __init__(
        self, settings: ImageSettings, *, resolve: Resolve | None = None, context: ssl.SSLContext | None = None
    ) -> None:
        self._settings = settings
        self._allowed = Allowed(settings.allow)
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._resolve = resolve or Resolver(settings.timeout)
        # A transport is httpx2 without cookies, redirects, decompression and proxies. No connection serves for a second
        # request: it is known by its address, at which the next name may have another certificate.
        self._transport = httpx2.AsyncHTTPTransport(
            verify=context or ssl.create_default_context(),
            trust_env=False,
            limits=httpx2.Limits(max_keepalive_connections=0),
        )

    async def fetch(self, url: str) -> bytes:
        """Return what is at a URL.

        Raises:
            InvalidRequest: It cannot or may not be fetched. The message is for any caller, so there is no param yet.
            GatewayBusy: So many are being fetched that its turn did not come in time.
            OutOfDescriptors: The process may not open another socket.
        """
        target = _parse(url)
        seconds = self._settings.timeout
        async with self._turn():
            try:
                async with asyncio.timeout(seconds):
                    return await self._follow(target)
            except TimeoutError as error:
                raise _refusal(f"The image did not arrive within {seconds:g} seconds.") from error

    async def close(self) -> None:
        """Close what is still open."""
        await self._transport.aclose()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(PATIENCE * self._settings.timeout):
                await self._turns.acquire()
        except TimeoutError as error:
            raise GatewayBusy("The gateway is busy with the images of other requests. Try again later.") from error
        try:
            yield
        finally:
            self._turns.release()

    async def _follow(self, target: _Target) -> bytes:
        for _ in range(REDIRECTS + 1):
            answer = await self._get(target)
            if isinstance(answer, bytes):
                return answer
            target = answer
        raise _refusal(f"The URL of the image leads through more than {REDIRECTS} redirects.")

    async def _get(self, target: _Target) -> bytes | _Target:
        """Return what is at a URL, or where else it is."""
        response = await self._open(target)
        try:
            status = response.status_code
            if status in _REDIRECTING and "location" in response.headers:
                return _parse(response.headers["location"], target.url)
            if status != httpx2.codes.OK:
                raise _refusal(f"The server of the image answered {status}.", detail=target.host)
            return await self._read(response)
        except httpx2.HTTPError as error:
            raise _unreachable(f"{target.host}: {error}") from error
        finally:
            await response.aclose()

    async def _open(self, target: _Target) -> httpx2.Response:
        """Return the answer, up to its body, of the first address that takes a connection."""
        failures: list[str] = []
        for address in await self._addresses(target):
            try:
                return await self._send(target, address)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                root = _root(error)
                if isinstance(root, OSError) and root.errno in (errno.EMFILE, errno.ENFILE):
                    message = "The gateway has no room for another connection."
                    raise OutOfDescriptors(message, detail="raise the limit: ulimit -n") from error
                failures.append(f"{address}: {str(root) or type(root).__name__}")
            except httpx2.HTTPError as error:
                raise _unreachable(f"{target.host}: {address}: {error}") from error
        raise _unreachable(f"{target.host}: {'; '.join(failures)}")

    async def _addresses(self, target: _Target) -> list[str]:
        """Return the addresses of a host, of which every one is allowed."""
        try:
            found = await self._resolve(target.name)
        except (OSError, UnicodeError) as error:
            raise _unreachable(f"{target.host}: {error}") from error
        for address in found:
            if not self._allowed.permits(target.name, ip_address(address), target.port):
                raise _unreachable(f"{target.host}: {address} at port {target.port} is not among images.allow")
        return found[:ADDRESSES]

    async def _send(self, target: _Target, address: str) -> httpx2.Response:
        connected: list[Any] = []

        async def note(event: str, info: Mapping[str, Any]) -> None:
            if event == "connection.connect_tcp.complete":
                connected.append(info["return_value"])

        request = httpx2.Request(
            "GET",
            target.url.copy_with(host=address),
            headers={
                "host": target.host,
                "accept": "image/*",
                "accept-encoding": "identity",
                "connection": "close",
                "user-agent": "ollama-gateway",
            },
            extensions={
                "sni_hostname": target.name,  # the certificate must have this name
                "timeout": {"connect": self._settings.timeout / 3},
                "trace": note,
            },
        )
        try:
            return await self._transport.handle_async_request(request)
        except BaseException:
            for stream in connected:  # httpcore2 leaves the socket of a cancelled handshake open
                await stream.aclose()
            raise

    async def _read(self, response: httpx2.Response) -> bytes:
        limit = self._settings.max_bytes
        too_large = _refusal(f"The image is larger than {limit} bytes, the limit here (images.max_bytes).")
        if int(response.headers.get("content-length", 0)) > limit:
            raise too_large
        body = bytearray()
        async for piece in response.aiter_raw():
            body += piece
            if len(body) > limit:
                raise too_large
        return bytes(body)


def _parse(text: str, base: httpx2.URL | None = None) -> _Target:
    """Read a URL, which a redirect may give relative to its own.

    Names that are numbers in disguise (`2130706433`, `0x7f.1`) stay names: what they mean is checked when they are
    looked up.
    """
    try:
        url = httpx2.URL(text) if base is None else base.join(text)
        name = url.raw_host.decode("ascii").lower().removesuffix(".")
    except (httpx2.InvalidURL, ValueError) as error:
        raise _malformed(str(error)) from error
    port = _PORTS.get(url.scheme, 0) if url.port is None else url.port
    if url.scheme not in _PORTS or url.userinfo or not _NAME.fullmatch(name) or not 0 < port < 65536:
        raise _malformed(f"{url.scheme}: {name}")
    literal = f"[{name}]" if ":" in name else name
    return _Target(url, name, port, literal if url.port is None else f"{literal}:{port}")


def _root(error: BaseException) -> BaseException:
    """Return what an error began with: the operating system's words."""
    while cause := error.__cause__ or error.__context__:  # httpcore2 raises `from None`
        error = cause
    return error


def _unreachable(detail: str) -> InvalidRequest:
    return _refusal("The image cannot be fetched from its URL.", detail=detail)


def _malformed(detail: str) -> InvalidRequest:
    message = "The URL of the image, or one that it leads to, is no http(s) URL of a host without user and password."
    return _refusal(message, detail=detail)


def _refusal(message: str, detail: str = "") -> InvalidRequest:
    return InvalidRequest(f"{message} {SEND_IT}", code="invalid_image_url", detail=detail)

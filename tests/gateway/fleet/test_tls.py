"""Hosts behind TLS are asked about themselves only when their certificate is good."""

from __future__ import annotations

import ssl

import pytest
import trustme

from adapters.errors import HostTimeout, HostUnreachable
from gateway.config import HostSettings, Timeouts
from gateway.fleet import Host
from gateway.fleet.asking import Asker
from tests.gateway.fleet.fleets import look, looking, view
from tests.gateway.hop.servers import Peer, serve
from tests.running import eventually

ABOUT = b'{"version": "0.33.0", "models": []}'


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def ca(authority, tmp_path):
    """A file with the authority's certificate."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return str(tmp_path / "ca.pem")


class Box:
    """Answers every question about itself over TLS, and remembers the requests."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []

    async def __call__(self, peer: Peer) -> None:
        while request := await peer.request():
            self.requests.append(request)
            await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(ABOUT), ABOUT))


def certified(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def settings(url: str, scheme: str, ca: str | None) -> HostSettings:
    return HostSettings(url=url.replace("https", scheme), headers={"Authorization": "Bearer a-token"}, ca=ca)


@pytest.mark.parametrize("scheme", ["https", "HTTPS", "Https"])
async def test_a_host_with_a_good_certificate_is_up(authority, ca, scheme):
    box = Box()
    async with (
        serve(box, certified(authority, "localhost")) as server,
        looking(settings(server.url, scheme, ca)) as fleet,
    ):
        assert view(fleet).up

    assert len(box.requests) == 3
    assert all(b"authorization: bearer a-token\r\n" in request.lower() for request in box.requests)


@pytest.mark.parametrize("scheme", ["https", "HTTPS", "Https"])
@pytest.mark.parametrize(
    ("name", "trusted", "reason"),
    [("localhost", False, "certificate verify failed"), ("other.example", True, "Hostname mismatch")],
    ids=["an unknown authority", "another name"],
)
async def test_a_host_with_a_bad_certificate_is_told_nothing(authority, ca, scheme, name, trusted, reason):
    box = Box()
    async with (
        serve(box, certified(authority, name)) as server,
        looking(settings(server.url, scheme, ca if trusted else None)) as fleet,
    ):
        await look(fleet)
        error = view(fleet).error

    assert isinstance(error, HostUnreachable)
    assert reason in error.detail
    assert box.requests == []


@pytest.mark.usefixtures("impatient")
async def test_a_handshake_that_stalls_is_given_up_and_its_connection_closed(ca):
    ended = []

    async def stall(peer: Peer) -> None:
        await peer.closed()
        ended.append(peer)

    async with serve(stall) as server, looking(settings(f"https://localhost:{server.port}", "https", ca)) as fleet:
        error = view(fleet).error
        await eventually(lambda: len(ended) >= 3)

    assert isinstance(error, HostTimeout)
    assert error.detail == "/api/version: no connection in time"


def test_what_asks_over_plain_http_would_trust_no_certificate(monkeypatch):
    given = []
    monkeypatch.setattr("httpx2.AsyncClient", lambda **settings: given.append(settings["verify"]))
    host = Host(HostSettings(url="http://box:11434"), Timeouts())
    Asker(host, 1)

    (context,) = given
    assert host.context is None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.get_ca_certs() == []

"""What cannot be reached through the gateway: everything that the configuration does not allow (SSRF)."""

from __future__ import annotations

import pytest

from adapters.errors import InvalidRequest
from gateway.config import allow
from gateway.images.fetching import Fetcher
from tests.gateway.hop.servers import unused
from tests.gateway.images.web import PNG, Names, fetching, redirect, serving

UNREACHABLE = "The image cannot be fetched from its URL. Send the image itself instead, as a data: URL with base64."
MALFORMED = (
    "The URL of the image, or one that it leads to, is no http(s) URL of a host without user and password. "
    "Send the image itself instead, as a data: URL with base64."
)


@pytest.fixture(autouse=True)
def any_port(monkeypatch):
    """Let `public` mean every port, so that the servers here are kept from reach by their addresses only."""
    monkeypatch.setattr(allow, "PUBLIC_PORTS", range(1, 65536))


async def refused(fetcher: Fetcher, url: str) -> tuple[str, str]:
    """Return what the caller and the log are told of a URL that is not fetched."""
    with pytest.raises(InvalidRequest) as caught:
        await fetcher.fetch(url)
    assert caught.value.code == "invalid_image_url"
    return caught.value.message, caught.value.detail


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "127.255.255.254",
        "2130706433",  # decimal
        "017700000001",  # octal
        "0177.1",
        "0x7f000001",  # hexadecimal
        "0x7f.1",
        "0X7F.0X0.1",
        "0",
        "0x0",
        "0.0.0.0",
        "127。0。0。1",  # full stops that IDNA takes for dots
        "localhost",
        "LOCALHOST",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::]",
        "[::127.0.0.1]",
        "[::ffff:127.0.0.1]",
        "[::FFFF:7F00:1]",
        "[::ffff:0:127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "[2001:0:4136:e378:8000:63bf:80ff:fffe]",
        "[fe80::1]",
        "[fc00::1]",
        "[fec0::1]",
        "[ff02::1]",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "2852039166",  # 169.254.169.254
        "0xa9fea9fe",
        "[fd00:ec2::254]",
        "[::ffff:169.254.169.254]",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "224.0.0.1",
        "255.255.255.255",
    ],
)
async def test_no_spelling_of_an_address_reaches_this_machine_or_its_network(host):
    async with serving() as web, fetching("public") as fetcher:
        message, detail = await refused(fetcher, f"http://{host}:{web.port}/cat.png")

    assert message == UNREACHABLE
    assert detail.endswith("is not among images.allow")
    assert web.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://me:pw@127.0.0.1:PORT/cat.png",
        "http://me@127.0.0.1:PORT/cat.png",
        "http://images.example@127.0.0.1:PORT/cat.png",
        "http://images.example:80@127.0.0.1:PORT/cat.png",
        "http://images.example\\@127.0.0.1:PORT/cat.png",
        "http://127.0.0.1:PORT\\@images.example/cat.png",
        "http://127.0.0.1\\.images.example:PORT/cat.png",
        "http://0177.0.0.1:PORT/cat.png",
        "http://①②⑦.0.0.1:PORT/cat.png",
        "http://%31%32%37.0.0.1:PORT/cat.png",
        "http://127.0.0.1%00.images.example:PORT/cat.png",
        "http://127.0.0.1\t:PORT/cat.png",
        "http://127.0.0.1:PORT\r\n/cat.png",
        "http://[fe80::1%25lo]:PORT/cat.png",
        "http://[::1%lo]:PORT/cat.png",
        "http://[127.0.0.1]:PORT/cat.png",
        "http://[::1:PORT/cat.png",
        "http://127.0.0.1:0/cat.png",
        "http://127.0.0.1:65536/cat.png",
        "http://127.0.0.1:-1/cat.png",
        "http://127.0.0.1:PORTx/cat.png",
        "http://127.0.0.1 :PORT/cat.png",
        "http://:PORT/cat.png",
        "http:///cat.png",
        "http:cat.png",
        "https:127.0.0.1:PORT/cat.png",
        "http://\ud800:PORT/cat.png",
        "http://127.0.0.1:PORT/\ud800",
        "http://a..b:PORT/",
        "http://.a:PORT/",
        "http://..:PORT/",
        "http://127.0.0.1:PORT/" + "a" * 70_000,
        "ftp://127.0.0.1:PORT/cat.png",
        "file:///etc/passwd",
        "//127.0.0.1:PORT/cat.png",
        "",
    ],
)
async def test_a_url_that_could_be_read_in_two_ways_is_refused_before_anything_is_looked_up(url):
    names = Names()
    async with serving() as web, fetching("public", "127.0.0.0/8", "::/0", names=names) as fetcher:
        message, _ = await refused(fetcher, url.replace("PORT", str(web.port)))

    assert message == MALFORMED
    assert (names.asked, web.connections) == ([], 0)


async def test_a_name_that_ends_in_a_dot_is_the_name_without_it():
    names = Names(images_test=["127.0.0.1"], local_test=["127.0.0.1"])
    async with serving() as web, fetching("public", "images.test", names=names) as fetcher:
        assert await fetcher.fetch(web.url(name="IMAGES.test.")) == PNG
        await refused(fetcher, web.url(name="local.test."))

    assert names.asked == ["images.test", "local.test"]
    assert b"\r\nhost: images.test:%d\r\n" % web.port in web.requests[0].lower()


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["93.184.216.34", "127.0.0.1"],
        ["127.0.0.1", "93.184.216.34"],
        ["2606:2800:220:1::1", "93.184.216.34", "1.1.1.1", "1.0.0.1", "10.0.0.1"],
        ["fe80::1%lo"],
    ],
)
async def test_a_name_of_which_one_address_is_not_allowed_is_not_reached_at_all(addresses):
    names = Names(evil_example=addresses)
    async with serving() as web, fetching("public", names=names) as fetcher:
        message, detail = await refused(fetcher, web.url(name="evil.example"))

    assert message == UNREACHABLE
    assert detail.startswith(f"evil.example:{web.port}: ")
    assert web.connections == 0


async def test_the_connection_goes_to_the_address_that_was_checked():
    names = Names(evil_example=[["127.0.0.1"], ["127.0.0.2"]])
    async with serving() as good, fetching("127.0.0.1", names=names) as fetcher:
        assert await fetcher.fetch(good.url(name="evil.example")) == PNG
        assert names.asked == ["evil.example"]

        message, detail = await refused(fetcher, good.url(name="evil.example"))

    assert message == UNREACHABLE
    assert detail == f"evil.example:{good.port}: 127.0.0.2 at port {good.port} is not among images.allow"
    assert good.connections == 1


async def test_what_is_public_is_reached_at_the_ports_of_the_web_only(monkeypatch):
    monkeypatch.undo()
    names = Names(printer_example=["2a00:1450:4001::1"])
    async with fetching("public", names=names) as fetcher:
        message, detail = await refused(fetcher, "http://printer.example:631/")

    assert message == UNREACHABLE
    assert detail == "printer.example:631: 2a00:1450:4001::1 at port 631 is not among images.allow"


async def test_a_name_is_looked_up_and_checked_again_for_each_redirect():
    names = Names(evil_example=[["127.0.0.1"], ["127.0.0.2"]])
    async with serving() as web, fetching("127.0.0.1", names=names) as fetcher:
        web.pages["/first"] = redirect("/cat.png")
        _, detail = await refused(fetcher, web.url("/first", name="evil.example"))

    assert detail == f"evil.example:{web.port}: 127.0.0.2 at port {web.port} is not among images.allow"
    assert web.asked == ["/first"]


NUMERIC = {
    "2130706433": "127.0.0.1",
    "0x7f_1": "127.0.0.1",
    "127_0_0_1": "127.0.0.1",
    "127_0_0_2": "127.0.0.2",
    "::1": "::1",
    "::ffff:127_0_0_1": "::ffff:127.0.0.1",
    "169_254_169_254": "169.254.169.254",
    "10_0_0_1": "10.0.0.1",
}
"""What the system's resolver makes of numbers."""


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:PORT/cat.png",
        "http://127.0.0.2:PORT/cat.png",
        "//127.0.0.1:PORT/cat.png",
        "http://localhost:PORT/cat.png",
        "http://2130706433:PORT/cat.png",
        "http://0x7f.1:PORT/cat.png",
        "http://[::1]:PORT/cat.png",
        "http://[::ffff:127.0.0.1]:PORT/cat.png",
        "http://local.example:PORT/cat.png",
        "http://169.254.169.254/latest/meta-data/",
        "https://10.0.0.1/",
    ],
)
async def test_a_redirect_leads_nowhere_that_is_not_allowed(location):
    names = Names(
        images_test=["127.0.0.1"],
        local_example=["127.0.0.1"],
        localhost=["127.0.0.1"],
        **{host: [address] for host, address in NUMERIC.items()},
    )
    async with serving() as web, fetching("public", "images.test", names=names) as fetcher:
        web.pages["/away"] = redirect(location.replace("PORT", str(web.port)))
        message, detail = await refused(fetcher, web.url("/away", name="images.test"))

    assert message == UNREACHABLE
    assert detail.endswith("is not among images.allow")
    assert web.asked == ["/away"]


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "ftp://images.test/", "gopher://images.test/", "data:image/png;base64,iVBORw0KGgo=",
     "http://me:pw@images.test:PORT/cat.png", "javascript:alert(1)", "http://images.test:0/", "http://[::1"],
)  # fmt: skip
async def test_a_redirect_must_be_to_http_and_without_credentials(location):
    names = Names(images_test=["127.0.0.1"])
    async with serving() as web, fetching("images.test", names=names) as fetcher:
        web.pages["/away"] = redirect(location.replace("PORT", str(web.port)))
        message, _ = await refused(fetcher, web.url("/away", name="images.test"))

    assert message == MALFORMED
    assert web.asked == ["/away"]


async def test_a_host_that_is_closed_missing_or_not_allowed_is_told_apart_in_the_log_only():
    names = Names(images_test=["127.0.0.1"], private_test=["10.0.0.1"])
    with unused() as port:
        async with fetching("public", "images.test", names=names) as fetcher:
            closed = await refused(fetcher, f"http://images.test:{port}/")
            private = await refused(fetcher, f"http://private.test:{port}/")
            missing = await refused(fetcher, f"http://missing.test:{port}/")

    assert closed[0] == private[0] == missing[0] == UNREACHABLE
    assert "Connect" in closed[1] or "refused" in closed[1]
    assert private[1] == f"private.test:{port}: 10.0.0.1 at port {port} is not among images.allow"
    assert "Name or service not known" in missing[1]


async def test_the_systems_resolver_is_asked_when_no_other_is_given():
    async with serving() as web, fetching("localhost") as fetcher:
        assert await fetcher.fetch(web.url(name="localhost")) == PNG
        _, detail = await refused(fetcher, web.url(name="a" * 64))

    assert web.connections == 1
    assert "label" in detail or "too long" in detail


async def test_no_proxy_of_the_environment_is_used(monkeypatch):
    with unused() as port:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        async with serving() as web, fetching("127.0.0.1") as fetcher:
            assert await fetcher.fetch(web.url()) == PNG

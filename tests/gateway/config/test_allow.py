"""From where images may be fetched."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from gateway.config.allow import Allowed, is_public

SPECIAL = [
    "0.0.0.0", "0.1.2.3",
    "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "100.64.0.1", "100.100.100.200", "100.127.255.255",
    "127.0.0.1", "127.255.255.254",
    "168.63.129.16",
    "169.254.0.1", "169.254.169.254",
    "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1",
    "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1",
    "::7f00:1", "::5db8:d822",  # IPv4-compatible
    "::ffff:127.0.0.1", "::ffff:93.184.216.34", "::ffff:0:127.0.0.1",  # IPv4-mapped and -translated
    "64:ff9b::7f00:1", "64:ff9b::5db8:d822", "64:ff9b:1::1",  # NAT64
    "100::1",
    "2001::1", "2001:0:4136:e378:8000:63bf:80ff:fffe", "2001:2::1", "2001:20::1", "2001:db8::1",
    "2002:7f00:1::1", "2002:5db8:d822::1",  # 6to4
    "3fff::1", "5f00::1",
    "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1",
]  # fmt: skip
PUBLIC = ["1.1.1.1", "93.184.216.34", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "223.255.255.255",
          "168.63.129.15", "2001:200::1", "2606:2800:220:1::1", "2a00:1450:4001::1"]  # fmt: skip


@pytest.mark.parametrize("address", SPECIAL)
def test_an_address_with_a_special_meaning_is_not_public(address):
    assert not is_public(ip_address(address))
    assert not Allowed(["public"]).permits("name.example", ip_address(address), 80)


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_internet_is_public(address):
    assert is_public(ip_address(address))
    assert Allowed(["public"]).permits("name.example", ip_address(address), 80)
    assert not Allowed([]).permits("name.example", ip_address(address), 80)


@pytest.mark.parametrize(
    ("entry", "name", "address", "port", "permitted"),
    [
        ("nas.lan", "nas.lan", "10.0.0.5", 80, True),
        ("nas.lan", "nas.lan", "127.0.0.1", 8080, True),
        ("NAS.lan.", "nas.lan", "10.0.0.5", 80, True),
        ("nas.lan", "evil-nas.lan", "10.0.0.5", 80, False),
        ("nas.lan", "nas.lan.evil.example", "10.0.0.5", 80, False),
        ("nas.lan", "evil.example", "10.0.0.5", 80, False),
        ("nas.lan:8080", "nas.lan", "10.0.0.5", 8080, True),
        ("nas.lan:8080", "nas.lan", "10.0.0.5", 80, False),
        ("10.0.0.5", "evil.example", "10.0.0.5", 80, True),
        ("10.0.0.5", "10.0.0.5", "10.0.0.5", 443, True),
        ("10.0.0.5", "10.0.0.5", "10.0.0.6", 80, False),
        ("10.0.0.5:8080", "any.example", "10.0.0.5", 8080, True),
        ("10.0.0.5:8080", "any.example", "10.0.0.5", 80, False),
        ("10.0.0.0/8", "any.example", "10.255.0.1", 80, True),
        ("10.0.0.0/8", "any.example", "11.0.0.1", 80, False),
        ("10.0.0.0/8", "any.example", "::ffff:10.0.0.1", 80, False),
        ("0.0.0.0/0", "any.example", "127.0.0.1", 80, True),
        ("0.0.0.0/0", "any.example", "::1", 80, False),
        ("::1", "any.example", "::1", 80, True),
        ("[::1]", "any.example", "::1", 80, True),
        ("[::1]:8080", "any.example", "::1", 8080, True),
        ("[::1]:8080", "any.example", "::1", 80, False),
        ("fd00::/8", "any.example", "fd00::5", 80, True),
        ("64:ff9b::/96", "any.example", "64:ff9b::5db8:d822", 80, True),
        ("public", "public", "10.0.0.5", 80, False),
        ("public", "any.example", "93.184.216.34", 80, True),
        ("public", "any.example", "93.184.216.34", 443, True),
        ("public", "any.example", "93.184.216.34", 8080, False),
        ("public", "any.example", "2606:2800:220:1::1", 443, True),
        ("public", "any.example", "2606:2800:220:1::1", 22, False),
        ("cdn.example", "cdn.example", "93.184.216.34", 443, True),
        ("cdn.example", "other.example", "93.184.216.34", 443, False),
    ],
)
def test_an_entry_allows_what_it_names(entry, name, address, port, permitted):
    assert Allowed([entry]).permits(name, ip_address(address), port) == permitted


def test_each_entry_counts():
    allowed = Allowed(["public", "nas.lan", "10.0.0.0/24"])

    places = [
        ("a.example", "1.1.1.1"),
        ("nas.lan", "192.168.0.9"),
        ("b.example", "10.0.0.9"),
        ("b.example", "10.0.1.9"),
    ]
    assert [allowed.permits(name, ip_address(address), 80) for name, address in places] == [True, True, True, False]


@pytest.mark.parametrize("entry", ["cdn.example:8080", "93.184.216.34:8080", "93.184.0.0/16", "cdn.example"])
def test_an_entry_opens_a_port_that_public_leaves_closed(entry):
    address = ip_address("93.184.216.34")

    assert not Allowed(["public"]).permits("cdn.example", address, 8080)
    assert Allowed(["public", entry]).permits("cdn.example", address, 8080)
    assert not Allowed(["public", entry]).permits("other.example", ip_address("1.1.1.1"), 8080)


@pytest.mark.parametrize(
    "entry",
    ["", "*", "*.example.com", "http://nas.lan", "nas.lan/", "nas.lan:", "nas.lan:0", "nas.lan:65536", "nas.lan:http",
     "me@nas.lan", "10.0.0.5/8", "10.0.0.0/33", "10.0.0.0/8:80", "[::1", "[10.0.0.1]", "[::1]:0", "[::1::]", "[fe80::1%eth0]",
     "::1:80x", "nas lan", "näs.lan"],
)  # fmt: skip
def test_an_entry_that_means_nothing_is_refused(entry):
    with pytest.raises(ValueError, match=r"neither a host nor a network|not appear to be"):
        Allowed([entry])

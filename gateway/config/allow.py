"""What `images.allow` means: from where images may be fetched.

An address counts as public only when the registries of IANA say that it is one host of the whole internet: loopback,
private networks, link-local addresses (where clouds answer with credentials), multicast and so on are not, and neither
is an IPv6 address that wraps an IPv4 address, for where such a one leads is decided by whoever translates it. The
registries are written out here because `ipaddress` judges by other lists in every release of Python.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

PUBLIC = "public"
"""The entry that means every public address, at the ports of the web."""

PUBLIC_PORTS = frozenset({80, 443})
"""The ports that `public` allows: with IPv6 the machines of a local network have public addresses, and serve far more
than web pages at all the others."""

_NOT_PUBLIC = (
    "0.0.0.0/8",  # this network; 0.0.0.0 reaches this machine
    "10.0.0.0/8",  # private
    "100.64.0.0/10",  # behind a carrier's NAT; 100.100.100.200 is the metadata of one cloud
    "127.0.0.0/8",  # loopback
    "168.63.129.16/32",  # the metadata of another cloud, which is no special address otherwise
    "169.254.0.0/16",  # link-local; 169.254.169.254 is the metadata of most clouds
    "172.16.0.0/12",  # private
    "192.0.0.0/24",  # protocol assignments; 192.0.0.192 is the metadata of one more cloud
    "192.0.2.0/24",  # documentation
    "192.31.196.0/24",  # AS112
    "192.52.193.0/24",  # AMT
    "192.88.99.0/24",  # relays of 6to4
    "192.168.0.0/16",  # private
    "192.175.48.0/24",  # AS112
    "198.18.0.0/15",  # benchmarks
    "198.51.100.0/24",  # documentation
    "203.0.113.0/24",  # documentation
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # reserved, and broadcast
    "2001::/23",  # protocol assignments, Teredo among them
    "2001:db8::/32",  # documentation
    "2002::/16",  # 6to4
    "3fff::/20",  # documentation
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
"""All that is given out of IPv6. IPv4-mapped, NAT64, unique local, link-local and multicast addresses are outside."""

_NETWORKS = tuple(ip_network(text) for text in _NOT_PUBLIC)

_ENTRY = re.compile(
    r"(?:\[(?P<ipv6>[0-9A-Fa-f.]*:[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?"
)


class Allowed:
    """Tells from where images may be fetched.

    Args:
        entries: `public` for every public address at the ports 80 and 443; the name of a host, whatever its address; an
            address or a network, whatever the name. A name and an address may have a port, and mean all ports when they
            have none.

    Raises:
        ValueError: An entry is none of these; the message says so.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        self._public = False
        self._names: set[tuple[str, int | None]] = set()
        self._networks: list[tuple[Network, int | None]] = []
        for entry in entries:
            if entry == PUBLIC:
                self._public = True
                continue
            what, port = _parse(entry)
            if isinstance(what, str):
                self._names.add((what, port))
            else:
                self._networks.append((what, port))

    def permits(self, name: str, address: Address, port: int) -> bool:
        """Whether an image may be fetched from an address.

        Args:
            name: The host as the URL has it, in small letters and without a dot at its end.
            address: One of its addresses.
            port: The port.
        """
        if (name, None) in self._names or (name, port) in self._names:
            return True
        if any(address in network and allowed in (None, port) for network, allowed in self._networks):
            return True
        return self._public and port in PUBLIC_PORTS and is_public(address)


def is_public(address: Address) -> bool:
    """Whether an address is one host of the whole internet."""
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return not any(address in network for network in _NETWORKS)


def _parse(entry: str) -> tuple[str | Network, int | None]:
    """Return the name or network that an entry means, and the port if it has one."""
    try:
        return ip_network(entry), None
    except ValueError:
        found = _ENTRY.fullmatch(entry)
    if found is None or not 0 < int(found["port"] or 1) < 65536:
        raise ValueError(f"{entry!r} is neither a host nor a network")
    port = int(found["port"]) if found["port"] else None
    if found["ipv6"]:
        return ip_network(found["ipv6"]), port
    try:
        return ip_network(found["host"]), port
    except ValueError:
        return found["host"].lower().removesuffix("."), port

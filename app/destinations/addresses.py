"""Which addresses of the net a destination may be at: public ones, and the hosts that an operator allows by name."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, Self
from urllib.parse import urlsplit

from app.errors import SettingError

VARIABLE: Final = "WEBHOOK_ALLOWED_HOSTS"

# What Python's own table of private networks leaves open, or leaves open in some versions.
_INTERNAL: Final = (
    IPv4Network("100.64.0.0/10"),  # between a provider and its customers; also the metadata server of Alibaba
    IPv4Network("168.63.129.16/32"),  # a public address, behind which Azure has its own services for machines
    IPv4Network("192.0.0.0/24"),  # reserved for protocols; also the metadata server of Oracle
    IPv4Network("192.88.99.0/24"),  # relays of 6to4
    IPv4Network("198.18.0.0/15"),  # laboratories
    IPv6Network("64:ff9b:1::/48"),  # NAT64 for local use
    IPv6Network("100::/64"),  # nowhere
    IPv6Network("2001::/23"),  # tunnels (Teredo) and laboratories
    IPv6Network("2002::/16"),  # tunnels (6to4): an IPv4 address that may be any
    IPv6Network("fec0::/10"),  # the older private networks
)
_NAT64: Final = IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether an address belongs to the open net: not private, loopback, link-local, multicast, reserved or a tunnel.

    An IPv4 address inside an IPv6 one (mapped, or for NAT64) counts as what it is.
    """
    found = _unwrapped(ip_address(address.partition("%")[0]))
    if any(found.version == network.version and found in network for network in _INTERNAL):
        return False
    return found.is_global and not (found.is_multicast or found.is_reserved or found.is_unspecified)


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


@dataclass(frozen=True)
class AllowedHosts:
    """Hosts that may be at any address: development machines and internal systems."""

    hosts: frozenset[tuple[str, int | None]] = frozenset()
    """In lower case, with a port, or with None for any port."""

    @classmethod
    def read(cls, text: str) -> Self:
        """Read a list such as `hooks.internal, 127.0.0.1:9000`.

        Raises:
            SettingError: an entry is no host.
        """
        return cls(frozenset(_entry(entry.strip()) for entry in text.split(",") if entry.strip()))

    def has(self, host: str, port: int) -> bool:
        """Whether a host, as an address names it, is allowed at this port."""
        known = host.lower().strip("[]").rstrip(".")
        return (known, None) in self.hosts or (known, port) in self.hosts


def _entry(entry: str) -> tuple[str, int | None]:
    try:
        parts = urlsplit(f"//{entry}")
        host, port = parts.hostname, parts.port
    except ValueError:  # a port that is no number, a bracket that is not closed
        host, port = None, None
    if not host or parts.path or parts.query or parts.username is not None or "*" in host:
        raise SettingError(f"{VARIABLE} is a list of host or host:port with commas between them, but has {entry!r}.")
    return host, port


def refused(addresses: Iterable[str]) -> bool:
    """Whether one of the addresses of a name is not public. One is enough: which of them is used is chance."""
    return not all(is_public(address) for address in addresses)

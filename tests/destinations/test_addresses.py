"""Which addresses a destination may be at."""

import pytest

from app.destinations.addresses import AllowedHosts, is_public, refused
from app.errors import SettingError


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("127.0.0.1", id="loopback"),
        pytest.param("127.255.255.254", id="all of loopback"),
        pytest.param("0.0.0.0", id="unspecified"),
        pytest.param("0.1.2.3", id="this network"),
        pytest.param("10.1.2.3", id="private, 10"),
        pytest.param("172.16.0.1", id="private, 172.16"),
        pytest.param("172.31.255.255", id="private, end of 172.16/12"),
        pytest.param("192.168.1.1", id="private, 192.168"),
        pytest.param("100.64.0.1", id="shared with a provider"),
        pytest.param("100.100.100.200", id="metadata of Alibaba"),
        pytest.param("169.254.169.254", id="metadata of most clouds, link-local"),
        pytest.param("168.63.129.16", id="services of Azure"),
        pytest.param("192.0.0.192", id="metadata of Oracle"),
        pytest.param("192.0.0.9", id="protocols"),
        pytest.param("192.0.2.1", id="documentation"),
        pytest.param("198.18.0.1", id="laboratories"),
        pytest.param("192.88.99.1", id="relays of 6to4"),
        pytest.param("224.0.0.1", id="multicast"),
        pytest.param("239.255.255.250", id="multicast of a site"),
        pytest.param("240.0.0.1", id="reserved"),
        pytest.param("255.255.255.255", id="broadcast"),
        pytest.param("::", id="v6 unspecified"),
        pytest.param("::1", id="v6 loopback"),
        pytest.param("fe80::1", id="v6 link-local"),
        pytest.param("fe80::1%eth0", id="v6 link-local with a zone"),
        pytest.param("fc00::1", id="v6 private"),
        pytest.param("fd00:ec2::254", id="v6 metadata of AWS"),
        pytest.param("fec0::1", id="v6 private of old"),
        pytest.param("ff02::1", id="v6 multicast"),
        pytest.param("2001:db8::1", id="v6 documentation"),
        pytest.param("100::1", id="v6 nowhere"),
        pytest.param("::ffff:127.0.0.1", id="mapped loopback"),
        pytest.param("::ffff:10.0.0.1", id="mapped private"),
        pytest.param("::ffff:a9fe:a9fe", id="mapped metadata, in hex"),
        pytest.param("::127.0.0.1", id="the older form of mapped"),
        pytest.param("64:ff9b::a9fe:a9fe", id="NAT64 of metadata"),
        pytest.param("64:ff9b::10.0.0.1", id="NAT64 of private"),
        pytest.param("64:ff9b:1::1", id="NAT64 for local use"),
        pytest.param("2002:7f00:1::", id="6to4 of loopback"),
        pytest.param("2001:0:7f00:1::", id="Teredo"),
    ],
)
def test_it_is_not_public(address: str) -> None:
    """Whatever leads to this machine, its network or its cloud, in whatever form it is written."""
    assert not is_public(address)
    assert refused(["8.8.8.8", address])  # one of several is enough


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "172.15.0.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_it_is_public(address: str) -> None:
    """Addresses of the open net, the neighbours of private ones among them."""
    assert is_public(address)
    assert not refused([address])


@pytest.mark.parametrize(
    ("host", "port", "allowed"),
    [
        ("hooks.internal", 443, True),
        ("HOOKS.internal.", 80, True),
        ("127.0.0.1", 9000, True),
        ("127.0.0.1", 9001, False),
        ("::1", 9000, True),
        ("evil.hooks.internal", 443, False),
        ("hooks.internal.evil.example", 443, False),
    ],
)
def test_hosts_that_are_allowed_besides(host: str, port: int, allowed: bool) -> None:
    """By whole name, in any case, with the port where one is named."""
    assert AllowedHosts.read(" hooks.internal, 127.0.0.1:9000,[::1]:9000 ,").has(host, port) is allowed


def test_nothing_is_allowed_by_itself() -> None:
    """Unset means public addresses only."""
    assert not AllowedHosts.read("").has("127.0.0.1", 80)


@pytest.mark.parametrize(
    "text", ["https://hooks.internal", "hooks.internal/path", "a:b", "*.internal", "u@host", "[::1"]
)
def test_a_wrong_entry_stops_the_start(text: str) -> None:
    """What is no host is told with the setting's name, and is not left out in silence."""
    with pytest.raises(SettingError, match="WEBHOOK_ALLOWED_HOSTS"):
        AllowedHosts.read(f"good.internal,{text}")

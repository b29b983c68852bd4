"""Which addresses may be called: every way of spelling one that must not be (issue 6, SSRF)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel_project.netguard.addresses import (
    AddressRefused,
    NameUnknown,
    checked,
    is_public,
    port_of,
    resolved,
)

PRIVATE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.170",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.9",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:a9fe:a9fe",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001:0:7f00:1::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:c0a8:101::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "172.32.0.1",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "2002:808:808::1",
]


def bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_refused_unless_allowed(address: str) -> None:
    url = f"http://{bracketed(address)}:8080/hook"

    with pytest.raises(AddressRefused, match="not a public address"):
        checked(url, allow_private=False)
    with pytest.raises(AddressRefused, match="not a public address"):
        resolved(address, 80, allow_private=False)
    assert checked(url, allow_private=True).port == 8080


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_taken(address: str) -> None:
    parts = checked(f"https://{bracketed(address)}/hook", allow_private=False)

    assert port_of(parts) == 443
    assert resolved(address, 443, allow_private=False) == [ip_address(address)]


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "127.1",
        "127.0.1",
        "0177.0.0.1",
        "0x7f.0.0.1",
        "0x7f000001",
        "0X7F000001",
        "017700000001",
        "127.0.0.01",
        "127.0.0.1.",
        "1.2.3.4.5",
        "8.8.2056",
        "[::1%25lo]",
        "[fe80::1%25eth0]",
        "[::127.0.0.1%251]",
    ],
)
@pytest.mark.parametrize("allow_private", [False, True])
def test_an_unusual_spelling_of_an_address_is_refused(host: str, allow_private: bool) -> None:
    with pytest.raises(AddressRefused, match=r"unusual spelling|network interface"):
        checked(f"http://{host}/", allow_private=allow_private)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "http://",
        "http:///path",
        "//example.com/",
        "http://user@example.com/",
        "http://user:word@example.com/",
        "http://@example.com/",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:x/",
        "http://[::1/",
        "http://exa mple.com/",
        "http://example.com/\r\nX-Evil: 1",
        "http://example.com\\@127.0.0.1/",
        "http://①②⑦.0.0.1/",
        "http://127。0。0。1/",
        "http://example.com/" + "a" * 2048,
    ],
)
def test_what_is_no_plain_web_address_is_refused(url: str) -> None:
    with pytest.raises(AddressRefused):
        checked(url, allow_private=True)


def test_a_name_of_a_private_address_is_refused_when_it_is_resolved() -> None:
    checked("http://localhost/", allow_private=False)

    with pytest.raises(AddressRefused, match="localhost stands for"):
        resolved("localhost", 80, allow_private=False)
    assert all(address.is_loopback for address in resolved("localhost", 80, allow_private=True))


def test_a_name_without_an_address_is_unknown() -> None:
    with pytest.raises(NameUnknown, match=r"nowhere\.invalid cannot be resolved"):
        resolved("nowhere.invalid", 80, allow_private=False)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_worth_the_same_in_every_ipv6_wrapping(address: IPv4Address) -> None:
    number = int(address)
    wrappings = [
        IPv6Address((0xFFFF << 32) | number),
        IPv6Address((0x64FF9B << 96) | number),
        IPv6Address((0x2002 << 112) | (number << 80)),
    ]

    assert {is_public(wrapping) for wrapping in wrappings} == {is_public(address)}


@given(st.ip_addresses())
def test_nothing_that_python_calls_private_is_public(address: IPv4Address | IPv6Address) -> None:
    special = (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
    )

    wraps = isinstance(address, IPv6Address) and address.ipv4_mapped is not None
    assert wraps or not (special and is_public(address))

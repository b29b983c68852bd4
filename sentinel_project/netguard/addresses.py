"""Which addresses a caller may have us call: public ones, however they are spelled.

Refused are private, loopback, link-local, multicast and reserved addresses, also where an IPv6
address wraps one of them, and hosts that are numbers in a form other than the usual one (decimal,
octal, hexadecimal, short), since resolvers read these as addresses and people do not.
"""

from __future__ import annotations

import re
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

IPAddress = IPv4Address | IPv6Address

_SCHEMES = {"http": 80, "https": 443}
_MAX_URL = 2048
#: Every label is a number, in some base: ``127.1``, ``2130706433``, ``0x7f.0.0.1``, ``0177.0.0.1``.
_NUMERIC = re.compile(r"(?:0[xX][0-9a-fA-F]*|[0-9]+)(?:\.(?:0[xX][0-9a-fA-F]*|[0-9]+))*\.?")
_GLOBAL_V6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_RESERVED_V4 = [
    IPv4Network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
        *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"),
    )
]
#: Teredo and its like, and the ranges of examples.
_RESERVED_V6 = [IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "3fff::/20")]


class AddressRefused(Exception):
    """The address may not be called."""


class NameUnknown(Exception):
    """The host's name has no address, or the resolver does not answer."""


def checked(url: str, *, allow_private: bool) -> SplitResult:
    """Return ``url`` taken apart, or refuse what can be told from its text alone.

    A name is not resolved here: what it stands for may differ at the time of the call.
    """
    if len(url) > _MAX_URL or not url.isascii() or re.search(r"[\x00-\x20\x7f\\]", url):
        raise AddressRefused(f"an address is at most {_MAX_URL} plain characters without blanks")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise AddressRefused(f"it cannot be read: {error}") from None
    if parts.scheme not in _SCHEMES or not host or port == 0:
        raise AddressRefused("it is no http or https address with a host")
    if parts.username is not None:
        raise AddressRefused("it holds a user name or password")
    literal = literal_of(host)
    if literal is not None and not allow_private and not is_public(literal):
        raise AddressRefused(f"{host} is not a public address")
    return parts


def literal_of(host: str) -> IPAddress | None:
    """Return the address that ``host`` spells; None: it is a name. An unusual spelling is refused.

    A zone (``fe80::1%eth0``) is refused as well: it only means something on this machine.
    """
    if "%" in host:
        raise AddressRefused(f"{host} names a network interface of this machine")
    try:
        return ip_address(host)
    except ValueError:
        pass
    if ":" in host or _NUMERIC.fullmatch(host):
        raise AddressRefused(f"{host} is an address in an unusual spelling")
    return None


def is_public(address: IPAddress) -> bool:
    """Tell whether ``address``, or the one that it wraps, is one of the public internet."""
    if isinstance(address, IPv4Address):
        return not any(address in net for net in _RESERVED_V4)
    if (wrapped := _wrapped(address)) is not None:
        return is_public(wrapped)
    return address in _GLOBAL_V6 and not any(address in net for net in _RESERVED_V6)


def _wrapped(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address inside a mapped (``::ffff:``), 6to4 or NAT64 one."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def port_of(parts: SplitResult) -> int:
    return parts.port or _SCHEMES[parts.scheme]


def resolved(host: str, port: int, *, allow_private: bool) -> list[IPAddress]:
    """Return the addresses of ``host``, in the resolver's order, each of them checked.

    One forbidden address refuses the host: a name that is public and private at once is a trap.
    """
    literal = literal_of(host)
    found = [literal] if literal is not None else _looked_up(host, port)
    for address in found:
        if not allow_private and not is_public(address):
            raise AddressRefused(f"{host} stands for {address}, which is not a public address")
    return found


def _looked_up(host: str, port: int) -> list[IPAddress]:
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NameUnknown(f"{host} cannot be resolved: {error}") from None
    # A scoped address ("fe80::1%2") loses its zone here, and is no public one anyway.
    return list(dict.fromkeys(ip_address(str(a[4][0]).partition("%")[0]) for a in answers))

"""How often an address may be wrong about an app before it has to wait (W-12).

Rows, so that all web processes count together. While an address waits, its good tokens wait too:
otherwise the answers would tell a guesser which guess was right.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from ipaddress import IPv4Address, ip_address, ip_network

from jobs.models import App, AuthFailure
from sentinel_project.errors import TooManyRequests

LIMIT = 30
WINDOW = timedelta(minutes=1)
_MAX_NAME = App._meta.get_field("name").max_length


def refuse_if_limited(app_name: str, *, address: str, now: datetime) -> None:
    recent = AuthFailure.objects.filter(
        app_name=app_name[:_MAX_NAME], address=_network(address), at__gt=now - WINDOW
    )
    if recent.count() >= LIMIT:
        raise TooManyRequests


def note_failure(app_name: str, *, address: str, now: datetime) -> None:
    """Count one more, and forget those that count no longer."""
    AuthFailure.objects.filter(at__lte=now - WINDOW).delete()
    AuthFailure.objects.create(app_name=app_name[:_MAX_NAME], address=_network(address), at=now)


def _network(address: str) -> str:
    """Return what is counted as one place: an IPv4 address, the /64 of an IPv6 one.

    Whoever has one address of a /64 has all of them.
    """
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv4Address):
        return address
    return str(found.ipv4_mapped or ip_network((found, 64), strict=False).network_address)

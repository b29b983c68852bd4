"""How often an address may be wrong about an app before it has to wait (W-12).

Rows, so that all web processes count together. While an address waits, its good tokens wait too:
otherwise the answers would tell a guesser which guess was right.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from ipaddress import IPv4Address, ip_address, ip_network

from django.db.models import QuerySet

from jobs.models import App, AuthFailure
from sentinel_project import prepared
from sentinel_project.errors import TooManyRequests

LIMIT = 30
WINDOW = timedelta(minutes=1)
_MAX_NAME = App._meta.get_field("name").max_length


def refuse_if_limited(app_name: str, *, address: str, now: datetime) -> None:
    if len(_recent(*place_of(app_name, address), now - WINDOW)) >= LIMIT:
        raise TooManyRequests


def failures_of(app_name: str, address: str, since: datetime) -> QuerySet[AuthFailure]:
    """Return the failures that still count; what is given was made by ``place_of``."""
    return AuthFailure.objects.filter(app_name=app_name, address=address, at__gt=since)


def place_of(app_name: str, address: str) -> tuple[str, str]:
    """Return what failures are counted by: the name as the column holds it, and the network."""
    return app_name[:_MAX_NAME], _network(address)


@prepared.select
def _recent(app_name: str, address: str, since: datetime) -> QuerySet[AuthFailure, int]:
    rows = failures_of(app_name, address, since)
    return rows.values_list("pk", flat=True)[:LIMIT]


def note_failure(app_name: str, *, address: str, now: datetime) -> None:
    """Count one more, and forget those that count no longer."""
    AuthFailure.objects.filter(at__lte=now - WINDOW).delete()
    name, network = place_of(app_name, address)
    AuthFailure.objects.create(app_name=name, address=network, at=now)


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

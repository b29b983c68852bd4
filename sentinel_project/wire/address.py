"""Where a request comes from."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest

_MAX_ADDRESS = 64


def address_of(request: HttpRequest) -> str:
    """Return the caller's address: the peer, or what our own proxy says about it.

    Of a forwarded chain only the last entry is our proxy's; the others anybody can write.
    """
    address = str(request.META.get("REMOTE_ADDR", ""))
    if settings.SECURE_PROXY_SSL_HEADER:
        chain = str(request.META.get("HTTP_X_FORWARDED_FOR", address))
        address = chain.rpartition(",")[2].strip()
    return address[:_MAX_ADDRESS]

"""An HTTP client that connects to the very address that was checked.

A name is resolved once per request; the connection goes to that address, while the ``Host`` header,
the TLS server name and the certificate's check keep the name. So a name that changes its address
between check and connection (DNS rebinding) gains nothing. No redirect is followed, and no proxy of
the environment is used.
"""

from __future__ import annotations

import ssl

import httpx

from sentinel_project.netguard.addresses import NameUnknown, checked, port_of, resolved

_MAX_CONNECTIONS = 10
#: So many of a name's addresses are tried, one after the other.
_MAX_ADDRESSES = 4


class PinnedTransport(httpx.BaseTransport):
    """Resolves, checks and connects; raises ``AddressRefused`` for what may not be called.

    Connections are not kept: two names may share an address, and a connection is one name's.
    """

    def __init__(self, *, allow_private: bool, verify: bool | ssl.SSLContext = True) -> None:
        limits = httpx.Limits(max_connections=_MAX_CONNECTIONS, max_keepalive_connections=0)
        self._allow_private = allow_private
        self._inner = httpx.HTTPTransport(verify=verify, limits=limits, trust_env=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        parts = checked(str(request.url), allow_private=self._allow_private)
        host = request.url.raw_host.decode("ascii")
        try:
            found = resolved(host, port_of(parts), allow_private=self._allow_private)
        except NameUnknown as error:
            raise httpx.ConnectError(str(error), request=request) from None
        *others, last = [str(address) for address in found[:_MAX_ADDRESSES]]
        for address in others:
            try:
                return self._connect(request, host, address)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return self._connect(request, host, last)

    def _connect(self, request: httpx.Request, host: str, address: str) -> httpx.Response:
        pinned = httpx.Request(
            method=request.method,
            url=request.url.copy_with(host=address),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": host},
        )
        return self._inner.handle_request(pinned)

    def close(self) -> None:
        self._inner.close()


def client(
    *, allow_private: bool, timeout: float | httpx.Timeout, verify: bool | ssl.SSLContext = True
) -> httpx.Client:
    """Return a client for addresses that somebody else chose. ``timeout``: seconds per step."""
    transport = PinnedTransport(allow_private=allow_private, verify=verify)
    return httpx.Client(
        transport=transport, timeout=timeout, follow_redirects=False, trust_env=False
    )

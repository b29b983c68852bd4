"""Posting to a web address that an app named: signed, to a checked address, and bounded in time.

Nothing that comes back is kept but the status and the first bytes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import httpx
from django.conf import settings

from jobs import keys
from sentinel_project.netguard import pinned
from sentinel_project.netguard.addresses import AddressRefused
from sentinel_project.wire import jsontext
from tasks_app.models import Delivery
from tasks_app.notices.answers import Answer
from tasks_app.rules.notices import signatures

#: Seconds per step (connect, write, read), and for all of it.
_STEP = 5.0
_WHOLE = 15.0
_KEPT_BYTES = 256


def sender(delivery: Delivery, *, now: datetime) -> Callable[[], Answer]:
    body = jsontext.dumps({"deliveryId": delivery.pk, **delivery.payload}).encode()
    stamp = int(now.timestamp())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Sentinel",
        "Accept-Encoding": "identity",
        "X-Sentinel-Delivery": str(delivery.pk),
        "X-Sentinel-Timestamp": str(stamp),
        "X-Sentinel-Signature": signatures(_keys(delivery), stamp, body),
    }
    url = delivery.target
    return lambda: _post(url, headers, body)


def _keys(delivery: Delivery) -> list[str]:
    """Return the app's live keys, so that a receiver that knows the older one can still check.

    What is about the system is no app's; its operators may set a key of their own.
    """
    if delivery.job is None:
        return [settings.SENTINEL_ALARM_KEY] if settings.SENTINEL_ALARM_KEY else []
    found = []
    app = delivery.job.app
    for sealed in (app.sealed_key, app.sealed_old_key):
        if sealed:
            try:
                found.append(keys.unseal(sealed))
            except keys.Unreadable:
                continue  # no key of this installation's secret fits; doctor says so
    return found


def _post(url: str, headers: dict[str, str], body: bytes) -> Answer:
    allow_private = settings.SENTINEL_CALLBACK_ALLOW_PRIVATE
    try:
        with (
            pinned.client(allow_private=allow_private, timeout=_STEP) as client,
            _closed_after(_WHOLE, client),
            client.stream("POST", url, headers=headers, content=body) as reply,
        ):
            said = f"{reply.status_code} {_first_bytes(reply)}".strip()
            return Answer(reply.is_success, said)
    except AddressRefused as refusal:
        return Answer(False, f"not called: {refusal}", is_final=True)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Answer(False, f"{type(error).__name__}: {error}")


@contextmanager
def _closed_after(seconds: float, client: httpx.Client) -> Iterator[None]:
    """Hang up on a receiver that answers byte by byte: each read is in time, all of them never."""
    timer = threading.Timer(seconds, client.close)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _first_bytes(reply: httpx.Response) -> str:
    """Return the start of the answer; the rest is not read, however long it is."""
    kept = b""
    for piece in reply.iter_raw(_KEPT_BYTES):
        kept += piece
        if len(kept) >= _KEPT_BYTES:
            break
    return jsontext.shown(kept[:_KEPT_BYTES].decode("utf-8", "replace")) if kept else ""

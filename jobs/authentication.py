"""Who is calling: finds the app of an envelope and checks its token (W-10 to W-12)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime

from django.conf import settings
from django.db.models import Count, QuerySet, Subquery
from django.db.models.functions import Coalesce
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from jobs import keys, throttle
from jobs.models import App, RequestRecord
from jobs.rules.enums import TokenForms
from sentinel_project import clock, prepared
from sentinel_project.errors import TooManyRequests, Unauthenticated
from sentinel_project.wire import token
from sentinel_project.wire.address import address_of
from sentinel_project.wire.envelope import Envelope
from sentinel_project.wire.token import Subject, Token, Verdict

logger = logging.getLogger(__name__)

_NONCE = "nonce"


class TokenAuthentication(BaseAuthentication):
    """``request.auth`` becomes the app; there is no user, since nobody vouches for that name."""

    def authenticate(self, request: Request) -> tuple[None, App] | None:
        envelope = getattr((request.parser_context or {}).get("view"), "envelope", None)
        if not isinstance(envelope, Envelope):
            return None
        address = address_of(request)
        return None, app_of(envelope, path=request.path, address=address, now=clock.now())


def app_of(envelope: Envelope, *, path: str, address: str, now: datetime) -> App:
    """Return the app that signed ``envelope``.

    An unknown app, a disabled one and a wrong token cost the same work and read the same.
    """
    place = throttle.place_of(envelope.app_name, address)
    app = next(iter(_enabled(envelope.app_name, *place, now - throttle.WINDOW)), None)
    if app is not None and vars(app)["failures"] >= throttle.LIMIT:
        raise TooManyRequests
    given = token.parse(envelope.token)
    verdict = token.verify(
        given,
        keys=_keys_of(app),
        subject=_subject(envelope, path),
        now=now,
        window=settings.SENTINEL_TOKEN_WINDOW,
    )
    if app is None or given is None or verdict is Verdict.BAD:
        # Also where the app's row has told it: a refusal costs the same whatever is wrong.
        throttle.refuse_if_limited(envelope.app_name, address=address, now=now)
        throttle.note_failure(envelope.app_name, address=address, now=now)
        raise Unauthenticated
    if verdict is Verdict.STALE:
        raise Unauthenticated(_stale(now))
    if not TokenForms(app.token_forms).accepts(is_strong=given.is_strong):
        raise Unauthenticated(f"app {app.name} takes only tokens of the form {app.token_forms}")
    if given.is_strong:
        _spend(given, app=app, now=now)
    return app


@prepared.select
def _enabled(name: str, app_name: str, address: str, since: datetime) -> QuerySet[App]:
    """Return the app that may call, with the ``failures`` there were from the address lately."""
    rows = throttle.failures_of(app_name, address, since).values("app_name")
    failures = Subquery(rows.annotate(count=Count("pk")).values("count"))
    return App.objects.filter(name=name, is_enabled=True).annotate(failures=Coalesce(failures, 0))


def _keys_of(app: App | None) -> Iterator[str]:
    """Yield two keys whatever there is: one that fits nothing stands in for a missing one."""
    sealed = (app.sealed_key, app.sealed_old_key) if app else ("", "")
    for each in sealed:
        yield _unsealed(each or keys.sealed_decoy(), app)


def _unsealed(sealed: str, app: App | None) -> str:
    """Open a key. One that cannot be opened fits nothing: it is our fault, and for our log."""
    try:
        return keys.unseal(sealed)
    except keys.Unreadable:
        logger.exception("app.key_unreadable", extra={"app": app.name if app else ""})
        return keys.new_key()


def _subject(envelope: Envelope, path: str) -> Subject:
    text = envelope.parameters if isinstance(envelope.parameters, str) else None
    return Subject(path, envelope.app_name, envelope.user, text)


def _stale(now: datetime) -> str:
    allowed = settings.SENTINEL_TOKEN_WINDOW.total_seconds()
    return (
        f"appToken is expired or ahead of time: its stamp must be within {allowed:.0f} s of the "
        f"server's time, which is {now.timestamp():.0f}"
    )


def _spend(given: Token, *, app: App, now: datetime) -> None:
    """Let a nonce through once; whoever inserts its row is the one (W-11)."""
    spent = RequestRecord(app=app, endpoint=_NONCE, request_key=given.nonce, created_at=now)
    if not prepared.insert_if_new(spent):
        raise Unauthenticated("the nonce of this appToken was used before; sign each call anew")

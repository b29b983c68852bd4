"""Tokens as attackers make them: refused alike, changing and breaking nothing (W-10 to W-12)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings

from jobs.authentication import app_of
from jobs.models import App, AuthFailure, Job
from sentinel_project import clock
from sentinel_project.errors import Unauthenticated
from sentinel_project.wire import token
from sentinel_project.wire.envelope import Envelope
from tests.api.samples import NEW
from tests.builders import KEY, make_app
from tests.caller import Caller, sign, sign_strongly

SUBMIT = "/api/job/submit"
UNIFORM = "appName or appToken is wrong."
WINDOW: timedelta = settings.SENTINEL_TOKEN_WINDOW
NOW = datetime(2026, 3, 4, 1, 0, tzinfo=UTC)
STAMP = str(int(NOW.timestamp()))


def good() -> str:
    return sign(KEY)


def strong(caller: Caller, parameters: str = "{}") -> str:
    return sign_strongly(caller, SUBMIT, parameters, nonce="nonce-01")


#: What becomes of a good token of the published form; each is not one any more.
SPOILT = {
    "a character less": lambda good: good[:-1],
    "a character more": lambda good: good + "0",
    "a blank behind": lambda good: good + " ",
    "a blank before": lambda good: " " + good,
    "a line end": lambda good: good + "\n",
    "upper-case": lambda good: good[:13] + good[13:].upper().replace("0", "A"),
    "arabic digits": lambda good: good.translate({48 + n: 0x660 + n for n in range(10)}),
    "full-width digits": lambda good: good.translate({48 + n: 0xFF10 + n for n in range(10)}),
    "twelve digits": lambda good: good[1:],
    "a sign": lambda good: "+" + good[1:],
    "a point": lambda good: good[:5] + "." + good[6:],
    "another key": lambda _: sign("f" * 32),
    "the key itself": lambda _: KEY,
    "the key as signature": lambda good: good[:13] + KEY,
    "the signature of no key": lambda good: good[:13] + token.signature("", good[:13]),
    "the stamp moved": lambda good: str(int(good[:13]) + 1) + good[13:],
    "only the stamp": lambda good: good[:13],
    "all zeros": lambda _: "0" * 42,
    "another form": lambda good: "v3:" + good,
    "SQL": lambda _: "' OR 1=1 --",
    "a format": lambda _: "%s%n{0}{{7*7}}${jndi:x}",
    "four hundred characters more": lambda good: good + "0" * 400,
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=list(SPOILT))
def test_a_spoilt_token_is_refused_like_any_other(spoil: Any, caller: Caller) -> None:
    fields = caller.envelope(NEW) | {"appToken": spoil(good())}

    reply = caller.send(SUBMIT, **fields)

    assert (reply.status, reply.code, reply.msg, reply.data) == (200, 1, UNIFORM, {})
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    "silly", ["", " ", None, 42, True, [], {}, "x" * 513, "x" * 1_000_000, "\0"]
)
def test_what_is_no_token_at_all_is_refused_by_name(silly: Any, caller: Caller) -> None:
    asking = caller.elsewhere(as_json=True)

    reply = asking.send(SUBMIT, **(asking.envelope(NEW) | {"appToken": silly}))

    assert (reply.status, reply.code, reply.msg[:9]) == (200, 1, "appToken ")
    assert not Job.objects.exists()


def strong_parts(caller: Caller) -> list[str]:
    return strong(caller).split(":")


#: What becomes of the parts of a good token of the strong form: v2, stamp, nonce, signature.
BENT = {
    "version in capitals": lambda parts: ["V2", *parts[1:]],
    "no nonce": lambda parts: [*parts[:2], "", parts[3]],
    "a nonce of seven": lambda parts: [*parts[:2], "n" * 7, parts[3]],
    "a nonce of sixty-five": lambda parts: [*parts[:2], "n" * 65, parts[3]],
    "another nonce": lambda parts: [*parts[:2], "nonce-02", parts[3]],
    "a nonce with a colon": lambda parts: [*parts[:2], "nonce:01", parts[3]],
    "another stamp": lambda parts: [parts[0], str(int(parts[1]) + 1), *parts[2:]],
    "signature in capitals": lambda parts: [*parts[:3], parts[3].upper().replace("0", "A")],
    "signature cut": lambda parts: [*parts[:3], parts[3][:-1]],
    "a part more": lambda parts: [*parts, "x"],
    "a part less": lambda parts: parts[:3],
    "published signature": lambda parts: [*parts[:3], token.signature(KEY, parts[1])],
}


@pytest.mark.parametrize("bend", BENT.values(), ids=list(BENT))
def test_a_bent_strong_token_is_refused_like_any_other(bend: Any, caller: Caller) -> None:
    fields = caller.envelope("{}") | {"appToken": ":".join(bend(strong_parts(caller)))}

    assert caller.send(SUBMIT, **fields).msg == UNIFORM


@pytest.mark.parametrize(
    "changed",
    [{"user": "bob"}, {"parameters": '{"a":1}'}, {"parameters": "{} "}, {"appName": "other"}],
    ids=str,
)
def test_a_strong_token_is_good_for_the_call_that_it_signs_and_no_other(
    changed: dict[str, str], caller: Caller, other: Caller
) -> None:
    fields = caller.envelope("{}") | {"appToken": strong(caller)}

    assert caller.send(SUBMIT, **(fields | changed)).msg == UNIFORM


def test_a_strong_token_needs_its_parameters_as_text(caller: Caller) -> None:
    """An object has no one text to sign."""
    fields = caller.envelope("{}") | {"appToken": strong(caller), "parameters": {}}

    assert caller.elsewhere(as_json=True).send(SUBMIT, **fields).msg == UNIFORM


# -- the window ------------------------------------------------------------------------------------


def authenticate(app: App, at: datetime, stamp: str) -> App:
    """Say who calls at ``at`` with a token of ``stamp``."""
    envelope = Envelope("ann", app.name, sign(KEY, stamp=stamp), "{}")
    return app_of(envelope, path=SUBMIT, address="10.0.0.1", now=at)


@pytest.mark.django_db
@pytest.mark.parametrize("stamp", [STAMP, f"{STAMP}000"], ids=["seconds", "milliseconds"])
@pytest.mark.parametrize("way", [-1, 1], ids=["past", "future"])
def test_the_window_is_exact_to_the_millisecond(way: int, stamp: str) -> None:
    app = make_app()
    edge = NOW + way * WINDOW
    beyond = edge + way * timedelta(milliseconds=1)

    assert authenticate(app, edge, stamp) == app
    assert authenticate(app, edge - way * timedelta(seconds=1), stamp) == app
    with pytest.raises(Unauthenticated, match="expired or ahead of time"):
        authenticate(app, beyond, stamp)
    with pytest.raises(Unauthenticated, match="expired or ahead of time"):
        authenticate(app, edge + way * timedelta(seconds=1), stamp)


@pytest.mark.parametrize("stamp", ["0000000000", "9999999999", "0" * 13, "9" * 13])
def test_a_stamp_at_the_end_of_time_is_stale_and_breaks_nothing(stamp: str, caller: Caller) -> None:
    fields = caller.envelope(NEW) | {"appToken": sign(KEY, stamp=stamp)}

    reply = caller.send(SUBMIT, **fields)

    assert (reply.code, "expired or ahead of time" in reply.msg) == (1, True)


# -- whose it is -----------------------------------------------------------------------------------


def test_another_apps_token_and_a_disabled_apps_read_the_same(caller: Caller) -> None:
    theirs = Caller(make_app(name="theirs"), key="e" * 32)
    disabled = Caller(make_app(name="off", is_enabled=False))
    closed = Caller(make_app(name="gone", is_enabled=False, closed_at=clock.now()))

    replies = [
        caller.send(SUBMIT, **(caller.envelope(NEW) | {"appToken": sign(theirs.key)})),
        *(asking.post(SUBMIT, **NEW) for asking in (disabled, closed)),
    ]

    assert {reply.msg for reply in replies} == {UNIFORM}
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    "name", ["nobody", "MINE", "mine ", "m%", "min_", "' OR '1'='1", "mine\u0000", "\u202emine"]
)
def test_a_name_that_is_only_like_the_apps_is_not_the_apps(name: str, caller: Caller) -> None:
    reply = caller.send(SUBMIT, **(caller.envelope(NEW) | {"appName": name}))

    assert reply.code == 1
    assert reply.msg == UNIFORM or reply.msg.startswith("appName ")
    assert not Job.objects.exists()


def test_names_beyond_the_column_are_counted_and_not_broken(caller: Caller) -> None:
    reply = caller.send(SUBMIT, **(caller.envelope(NEW) | {"appName": "n" * 256}))

    assert reply.msg == UNIFORM
    assert AuthFailure.objects.get().app_name == "n" * 64

"""System checks: what is wrong with the settings, by an id that can be looked up.

Errors (sentinel.E…) stop every process at its start; warnings that only matter in production
(sentinel.W…) appear in ``manage.py check --deploy``.
"""

from __future__ import annotations

import importlib.util
import ipaddress
from collections.abc import Iterator, Sequence
from typing import Any
from zoneinfo import available_timezones

from django.conf import settings
from django.core import checks
from django.core.mail.message import sanitize_address
from rest_framework.serializers import ValidationError

from sentinel_project import broker
from sentinel_project.wire.contacts import MailField, WebhookField
from tasks_app.rules import limits, retention
from tasks_app.rules.timing import Lease


@checks.register(checks.Tags.compatibility)
def check_settings(app_configs: Sequence[Any] | None, **_: Any) -> list[checks.CheckMessage]:
    """Return what no process may start with."""
    ours = (_lease, _limits, _retention, _places, _networks, _mail, _operators, _driver)
    return [message for check in ours for message in check()]


@checks.register(checks.Tags.security, deploy=True)
def check_production(app_configs: Sequence[Any] | None, **_: Any) -> list[checks.CheckMessage]:
    """Return what is fit for a demo and not for production."""
    return [*_security(), *_embedded()]


def _lease() -> Iterator[checks.CheckMessage]:
    try:
        Lease(settings.SENTINEL_LEASE, settings.SENTINEL_HEARTBEAT)
    except ValueError as error:
        hint = "Raise SENTINEL_LEASE or lower SENTINEL_HEARTBEAT."
        yield checks.Error(str(error), hint=hint, id="sentinel.E001")


def _limits() -> Iterator[checks.CheckMessage]:
    try:
        limits.parse(settings.SENTINEL_LIMITS)
    except ValueError as error:
        hint = 'Write it like {"shell": {"memory": "2G"}, "*@3": {"nice": 10}}.'
        yield checks.Error(f"SENTINEL_LIMITS {error}", hint=hint, id="sentinel.E007")


def _retention() -> Iterator[checks.CheckMessage]:
    for name in ("SENTINEL_KEEP_OUTPUT", "SENTINEL_KEEP_TASKS"):
        try:
            retention.parse(getattr(settings, name))
        except ValueError as error:
            hint = 'Write it like {"*": 90, "billing": 30, "billing/nightly report": 365}.'
            yield checks.Error(f"{name} {error}", hint=hint, id="sentinel.E009")


def _places() -> Iterator[checks.CheckMessage]:
    if broker.scheme(settings.CELERY_BROKER_URL) not in broker.SCHEMES:
        yield checks.Error(
            "SENTINEL_BROKER_URL names a broker that Sentinel does not know.",
            hint=f"Use one of: {', '.join(sorted(broker.SCHEMES))}.",
            id="sentinel.E002",
        )
    if settings.SENTINEL_TIME_ZONE not in available_timezones():
        yield checks.Error(
            f"SENTINEL_TIME_ZONE {settings.SENTINEL_TIME_ZONE!r} is no time zone.",
            hint="Use an IANA name such as Asia/Shanghai.",
            id="sentinel.E003",
        )
    if not settings.SENTINEL_WORKER_GROUPS:
        yield checks.Error(
            "SENTINEL_WORKER_GROUPS is empty, so a worker would serve nobody.",
            hint="List the ids of worker groups, separated by commas; 1 is the default group.",
            id="sentinel.E004",
        )


def _networks() -> Iterator[checks.CheckMessage]:
    for network in settings.SENTINEL_METRICS_ALLOW:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            yield checks.Error(
                f"SENTINEL_METRICS_ALLOW: {network!r} is no address and no network.",
                hint="List them separated by commas, such as 127.0.0.1,10.1.0.0/16.",
                id="sentinel.E008",
            )


def _mail() -> Iterator[checks.CheckMessage]:
    try:
        sanitize_address(settings.SENTINEL_MAIL_FROM, "utf-8")
    except ValueError as error:
        yield checks.Error(
            f"SENTINEL_MAIL_FROM: {error}",
            hint='Write it like ops@example.com or "Sentinel, Ops" <ops@example.com>.',
            id="sentinel.E010",
        )


def _operators() -> Iterator[checks.CheckMessage]:
    """Whoever is to hear of faults must be reachable as far as an address tells (D-84)."""
    kinds = {"SENTINEL_ALARM_MAILS": MailField(), "SENTINEL_ALARM_WEBHOOKS": WebhookField()}
    for name, judge in kinds.items():
        for address in getattr(settings, name):
            try:
                judge.run_validation(address)
            except ValidationError:
                yield checks.Error(
                    f"{address!r} of {name} is not {judge.accepts}.",
                    hint="Part several by commas.",
                    id="sentinel.E011",
                )
    if settings.SENTINEL_REQUEST_SECONDS < 1:
        yield checks.Error(
            f"SENTINEL_REQUEST_SECONDS is {settings.SENTINEL_REQUEST_SECONDS}.",
            hint="Set at least 1: no client sends a request in no time.",
            id="sentinel.E012",
        )


def _driver() -> Iterator[checks.CheckMessage]:
    if importlib.util.find_spec("psycopg") is not None:
        yield checks.Error(
            "psycopg 3 is installed beside psycopg2, and Django would silently prefer it.",
            hint="Uninstall psycopg.",
            id="sentinel.E005",
        )


def _security() -> Iterator[checks.CheckMessage]:
    if settings.DEBUG:
        yield checks.Error("SENTINEL_DEBUG is on.", hint="Unset it.", id="sentinel.E006")
    if settings.SENTINEL_ALLOW_ROOT:
        yield checks.Warning(
            "SENTINEL_ALLOW_ROOT lets jobs run as root (X-22).",
            hint="Run workers as a user of their own.",
            id="sentinel.W001",
        )
    if not settings.SESSION_COOKIE_SECURE:
        yield checks.Warning(
            "The admin's cookies also travel without TLS.",
            hint="Serve it over HTTPS and set SENTINEL_HTTPS=1.",
            id="sentinel.W002",
        )


def _embedded() -> Iterator[checks.CheckMessage]:
    if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        yield checks.Warning(
            "SQLite serves one machine and one writer at a time.",
            hint="Set SENTINEL_DATABASE_URL to a PostgreSQL server.",
            id="sentinel.W003",
        )
    if settings.BROKER_IS_EMBEDDED:
        yield checks.Warning(
            "The embedded broker serves one machine.",
            hint="Set SENTINEL_BROKER_URL to RabbitMQ or Redis.",
            id="sentinel.W004",
        )

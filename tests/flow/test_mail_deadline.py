"""A mail server that drips bytes is given up in time, wherever it begins to (D-84)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pytest_django import Settings

from tasks_app import notices, transitions
from tasks_app.models import Delivery
from tasks_app.notices import mail
from tasks_app.rules.notices import DeliveryState
from tests.builders import NOW, make_app, make_job
from tests.flow.certificates import certified
from tests.flow.mail_sink import TLS_HEAD, Sink, collecting
from tests.flow.notices import SetClock, alarm, due_task

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def a_failure_is_to_be_mailed() -> None:
    job = make_job(app=make_app())
    alarm(job, "KILLED")
    transitions.kill(due_task(job), user="ann", now=NOW)
    notices.expand_changes(now=NOW)


def told(sink: Sink, settings: Settings) -> tuple[DeliveryState, str]:
    """Mail what there is by the sink; return what became of it, and the answer that was noted."""
    settings.EMAIL_HOST, settings.EMAIL_PORT = "localhost", sink.port
    assert notices.deliver_due(SetClock()) == 1
    delivery = Delivery.objects.get()
    return DeliveryState(delivery.state), delivery.log.get().answer


@pytest.mark.parametrize("drips_at", [b"HELLO", b"EHLO", b"MAIL", b"RCPT", b"DATA"])
def test_a_server_that_drips_is_tried_again_later(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, drips_at: bytes
) -> None:
    monkeypatch.setattr(mail, "WITHIN", timedelta(seconds=0.5))
    with collecting() as sink:
        sink.drips_at = drips_at

        became = told(sink, settings)

    assert became == (DeliveryState.PENDING, "the mail server took longer than 0.5 s")


def test_so_is_one_that_drips_while_it_says_who_it_is(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "WITHIN", timedelta(seconds=0.5))
    settings.EMAIL_USE_SSL = True
    with collecting() as sink:
        sink.drips_at, sink.head = b"HELLO", TLS_HEAD

        became = told(sink, settings)

    assert became == (DeliveryState.PENDING, "the mail server took longer than 0.5 s")


def test_a_mail_that_was_taken_counts_however_the_good_bye_drips(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "WITHIN", timedelta(seconds=0.5))
    with collecting() as sink:
        sink.drips_at = b"QUIT"

        assert told(sink, settings) == (DeliveryState.DELIVERED, "accepted")

    assert sink.recipients == ["ann@example.com"]


def test_by_tls_it_is_mailed_as_well(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    context, _ = certified(tmp_path, "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "chain.pem"))
    settings.EMAIL_USE_SSL = True

    with collecting(context) as sink:
        assert told(sink, settings) == (DeliveryState.DELIVERED, "accepted")

    assert sink.recipients == ["ann@example.com"]

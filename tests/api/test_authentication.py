"""Who gets in: keys, clocks, disabled apps and guessers (W-10 to W-12)."""

from __future__ import annotations

from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs import app_services, keys, throttle
from jobs.models import App, AuthFailure
from jobs.rules.enums import AppKind
from sentinel_project import clock
from sentinel_project.errors import TooManyRequests
from tests.builders import KEY, make_app, make_task
from tests.caller import Answer, Caller, sign, sign_strongly

STATUS = "/api/task/query/status"
UNIFORM = "appName or appToken is wrong."


def call_with(caller: Caller, token: str, **fields: str) -> Answer:
    return caller.send(STATUS, **(caller.envelope({"taskId": 1}) | {"appToken": token} | fields))


def stamp(seconds: int) -> str:
    return str(int(clock.now().timestamp()) + seconds)


def test_a_wrong_key_an_unknown_app_and_a_disabled_one_read_the_same(caller: Caller) -> None:
    disabled = Caller(make_app(name="off", is_enabled=False))
    replies = [
        caller.elsewhere(key="f" * 32).post(STATUS, taskId=1),
        call_with(caller, sign(KEY), appName="nobody"),
        disabled.post(STATUS, taskId=1),
        call_with(caller, "rubbish"),
    ]

    assert {(reply.status, reply.code, reply.msg) for reply in replies} == {(200, 1, UNIFORM)}


def test_the_key_of_another_app_opens_nothing(caller: Caller) -> None:
    theirs = make_app(name="theirs")
    own_key = app_services.rotate_key(theirs, user="root", now=clock.now())
    app_services.drop_old_key(theirs, user="root", now=clock.now())

    assert Caller(theirs, key=own_key).post(STATUS, taskId=1).msg == "no task 1"
    assert caller.elsewhere(key=own_key).post(STATUS, taskId=1).msg == UNIFORM


@pytest.mark.parametrize("seconds", [-300, 300])
def test_a_stale_token_says_so_with_the_servers_time(seconds: int, caller: Caller) -> None:
    before = int(clock.now().timestamp())

    reply = call_with(caller, sign(KEY, stamp=stamp(seconds)))

    assert (reply.code, "expired" in reply.msg) == (1, True)
    assert before - 1 <= int(reply.msg.split()[-1]) <= before + 60


def test_a_stale_token_of_a_wrong_key_tells_nothing(caller: Caller) -> None:
    assert call_with(caller, sign("f" * 32, stamp=stamp(-300))).msg == UNIFORM


def test_both_keys_are_good_until_the_old_one_is_dropped(caller: Caller) -> None:
    new = app_services.rotate_key(caller.app, user="root", now=clock.now())

    both = [caller.elsewhere(key=key).post(STATUS, taskId=1).msg for key in (KEY, new)]
    app_services.drop_old_key(caller.app, user="root", now=clock.now())
    after = [caller.elsewhere(key=key).post(STATUS, taskId=1).msg for key in (KEY, new)]

    assert both == ["no task 1", "no task 1"]
    assert after == [UNIFORM, "no task 1"]


def test_a_guesser_is_held_up_and_the_app_itself_is_not(caller: Caller) -> None:
    guesser = caller.elsewhere(key="f" * 32, address="10.9.9.9")

    for _ in range(throttle.LIMIT):
        assert guesser.post(STATUS, taskId=1).status == 200
    held = guesser.post(STATUS, taskId=1)

    assert (held.status, held.code) == (429, 1)
    assert caller.post(STATUS, taskId=1).msg == "no task 1"


def test_a_guesser_of_one_app_does_not_hold_up_its_neighbours(caller: Caller) -> None:
    guesser = caller.elsewhere(key="f" * 32)
    neighbour = Caller(make_app(name="neighbour"))
    for _ in range(throttle.LIMIT + 1):
        guesser.post(STATUS, taskId=1)

    assert caller.post(STATUS, taskId=1).status == 429
    assert neighbour.post(STATUS, taskId=1).msg == "no task 1"


def test_an_unknown_app_is_held_up_like_a_known_one(caller: Caller) -> None:
    """Else the 429 would tell which apps exist."""
    statuses = [
        call_with(caller, sign(KEY), appName="nobody").status for _ in range(throttle.LIMIT + 1)
    ]

    assert statuses == [200] * throttle.LIMIT + [429]


def test_after_a_minute_the_guesser_is_heard_again_and_forgotten(caller: Caller) -> None:
    guesser = caller.elsewhere(key="f" * 32)
    for _ in range(throttle.LIMIT):
        guesser.post(STATUS, taskId=1)

    AuthFailure.objects.update(at=clock.now() - timedelta(seconds=61))

    assert guesser.post(STATUS, taskId=1).status == 200
    assert AuthFailure.objects.count() == 1


def test_a_stale_token_is_no_guess(caller: Caller) -> None:
    call_with(caller, sign(KEY, stamp=stamp(-300)))

    assert not AuthFailure.objects.exists()


def test_the_strong_token_gets_in_once(caller: Caller) -> None:
    task = make_task(job__app=caller.app)
    parameters = f'{{"taskId": {task.pk}}}'
    token = sign_strongly(caller, STATUS, parameters, nonce="nonce-01")

    first = call_with(caller, token, parameters=parameters)
    second = call_with(caller, token, parameters=parameters)

    assert first.data["taskId"] == task.pk
    assert (second.code, "nonce" in second.msg) == (1, True)


def test_a_nonce_is_an_apps_own(caller: Caller, other: Caller) -> None:
    text = '{"taskId": 1}'

    replies = [
        call_with(who, sign_strongly(who, STATUS, text, nonce="nonce-01"), parameters=text)
        for who in (caller, other)
    ]

    assert [reply.msg for reply in replies] == ["no task 1", "no task 1"]


def test_the_strong_token_signs_the_address_it_goes_to(caller: Caller) -> None:
    parameters = '{"taskIds": [1]}'
    token = sign_strongly(caller, STATUS, parameters, nonce="nonce-01")
    fields = caller.envelope(parameters) | {"appToken": token}

    assert caller.send("/api/task/kill", **fields).msg == UNIFORM


def test_the_message_of_a_refusal_never_holds_the_token(caller: Caller) -> None:
    token = sign(KEY)

    reply = call_with(caller, token + "x", user="\x00")

    assert token[10:] not in reply.msg


@pytest.mark.django_db
def test_keys_are_sealed_in_the_database() -> None:
    app, key = app_services.register_app(name="fresh", kind=AppKind.NORMAL, now=clock.now())

    row = App.objects.filter(pk=app.pk).values().get()
    assert key not in str(row)
    assert Caller(app, key=key).post(STATUS, taskId=1).msg == "no task 1"


# -- forms of token --------------------------------------------------------------------------------

PARAMETERS = '{"taskId": 1}'


@pytest.mark.parametrize(
    ("forms", "published", "strong"),
    [
        ("both", "no task 1", "no task 1"),
        ("v1", "no task 1", "app mine takes only tokens of the form v1"),
        ("v2", "app mine takes only tokens of the form v2", "no task 1"),
    ],
)
def test_an_app_takes_the_forms_it_is_set_to(
    forms: str, published: str, strong: str, caller: Caller
) -> None:
    App.objects.filter(pk=caller.app.pk).update(token_forms=forms)
    token = sign_strongly(caller, STATUS, PARAMETERS, nonce="nonce-01")

    replies = [call_with(caller, each, parameters=PARAMETERS).msg for each in (sign(KEY), token)]

    assert replies == [published, strong]


def test_which_forms_an_app_takes_is_told_to_whoever_has_its_key_alone(caller: Caller) -> None:
    App.objects.filter(pk=caller.app.pk).update(token_forms="v2")

    assert caller.elsewhere(key="f" * 32).post(STATUS, taskId=1).msg == UNIFORM


def test_a_token_of_the_wrong_form_spends_no_nonce(caller: Caller) -> None:
    App.objects.filter(pk=caller.app.pk).update(token_forms="v1")
    token = sign_strongly(caller, STATUS, PARAMETERS, nonce="nonce-01")
    call_with(caller, token, parameters=PARAMETERS)

    App.objects.filter(pk=caller.app.pk).update(token_forms="both")

    assert call_with(caller, token, parameters=PARAMETERS).msg == "no task 1"


# -- the secret ------------------------------------------------------------------------------------


def resealed() -> str:
    out = StringIO()
    call_command("reseal_keys", stdout=out)
    return out.getvalue()


def test_the_secret_can_be_changed_without_voiding_a_key(caller: Caller, settings: Any) -> None:
    second = app_services.rotate_key(caller.app, user="root", now=clock.now())
    first_secret = settings.SECRET_KEY

    def answers() -> list[str]:
        return [caller.elsewhere(key=key).post(STATUS, taskId=1).msg for key in (KEY, second)]

    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the next secret", [first_secret]
    during = answers()
    printed = resealed()
    settings.SECRET_KEY_FALLBACKS = []

    assert (during, answers()) == (["no task 1"] * 2, ["no task 1"] * 2)
    assert printed == "2 keys are sealed under the present secret\n"


def test_a_key_that_no_secret_opens_is_refused_and_told_to_the_operator(
    caller: Caller, other: Caller, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.SECRET_KEY = "another secret"
    App.objects.filter(pk=other.app.pk).update(sealed_key=keys.seal(KEY))

    assert caller.post(STATUS, taskId=1).msg == UNIFORM
    assert "app.key_unreadable" in caplog.messages
    assert other.post(STATUS, taskId=1).msg == "no task 1"
    with pytest.raises(CommandError, match="the keys of mine were sealed under"):
        resealed()


# -- the work of a refusal -------------------------------------------------------------------------


@pytest.mark.usefixtures("spelled_statements")
def test_refusals_cost_the_same_queries_whatever_is_wrong(caller: Caller) -> None:
    """Else the time of an answer would tell which apps exist."""
    make_app(name="off", is_enabled=False)
    tries = {"wrong key": ("mine", sign("f" * 32)), "no app": ("nobody", sign(KEY))}
    tries |= {"disabled": ("off", sign(KEY)), "rubbish": ("mine", "rubbish")}

    counted = {}
    for name, (app_name, token) in tries.items():
        with CaptureQueriesContext(connection) as queries:
            assert call_with(caller, token, appName=app_name).msg == UNIFORM
        counted[name] = [
            query["sql"].split(" WHERE ")[0][:60] for query in queries.captured_queries
        ]

    assert len({tuple(each) for each in counted.values()}) == 1, counted


def test_ten_thousand_wrong_tokens_leave_few_rows_and_the_app_itself_at_peace(
    caller: Caller, now: datetime
) -> None:
    for number in range(10_000):
        at = now + timedelta(milliseconds=number)
        try:
            throttle.refuse_if_limited("mine", address="10.9.9.9", now=at)
        except TooManyRequests:
            continue
        throttle.note_failure("mine", address="10.9.9.9", now=at)

    assert AuthFailure.objects.count() == throttle.LIMIT
    assert caller.post(STATUS, taskId=1).msg == "no task 1"


def test_all_addresses_of_an_ipv6_network_are_one_guesser(caller: Caller) -> None:
    for number in range(throttle.LIMIT):
        caller.elsewhere(key="f" * 32, address=f"2001:db8:0:1::{number:x}").post(STATUS, taskId=1)

    assert caller.elsewhere(address="2001:db8:0:1:ffff::1").post(STATUS, taskId=1).status == 429
    assert caller.elsewhere(address="2001:db8:0:2::1").post(STATUS, taskId=1).status == 200

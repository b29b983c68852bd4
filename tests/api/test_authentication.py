"""Who gets in: keys, clocks, disabled apps and guessers (W-10 to W-12)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs import app_services, throttle
from jobs.models import App, AuthFailure
from jobs.rules.enums import AppKind
from sentinel_project import clock
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

"""Following a log (X-32): as it is printed, resumed, to its end, and in nobody's way."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from logs_app import store
from logs_app.models import StreamKind
from logs_app.store import Slice
from logs_app.tail import Places, Tail
from sentinel_project.errors import Refused
from sentinel_project.serving.command import web_command
from tasks_app.models import Attempt
from tests.builders import KEY, NOW, close_streams, make_app, make_attempt, make_output, make_task
from tests.caller import Caller, sign
from tests.engine import database_url
from tests.flow.executions import eventually
from tests.flow.processes import ROOT, free_port

PATH = "/api/log/tail"

# -- the body by itself ----------------------------------------------------------------------------


@dataclass
class Clock:
    """Time that passes only while somebody waits."""

    seconds: float = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def pause(self, seconds: float) -> None:
        self.seconds += seconds


def tail(*slices: Slice | Exception, places: Places | None = None) -> tuple[Tail, Clock]:
    """Return a tail that reads these, and of the last one as often as it asks."""
    left, clock = list(slices), Clock()

    def read(offset: int) -> Slice:
        found = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(found, Exception):
            raise found
        return found

    held = places or Places(1)
    assert held.take()
    words: dict[str, Any] = {"monotonic": clock.monotonic, "pause": clock.pause}
    return Tail(read, offset=0, places=held, **words), clock


def test_events_carry_text_as_json_and_the_offset_behind_it() -> None:
    body, _ = tail(Slice("a\r\nb\n", 5, is_end=False), Slice("é", 7, is_end=True))

    assert list(body) == [
        b"retry: 2000\n\n",
        b'id: 5\ndata: {"log":"a\\r\\nb\\n"}\n\n',
        'id: 7\ndata: {"log":"é"}\n\n'.encode(),
        b'event: end\nid: 7\ndata: {"offset":7}\n\n',
    ]


def test_silence_is_filled_with_comments_and_ends_after_a_while() -> None:
    body, clock = tail(Slice("", 0, is_end=False))

    events = list(body)

    assert events[1:] == [b": still here\n\n"] * (len(events) - 1)
    assert clock.seconds >= 1800
    assert len(events) == pytest.approx(1800 / 5, abs=3)


def test_what_is_refused_on_the_way_is_said_and_ends_it() -> None:
    body, _ = tail(Slice("a", 1, is_end=False), Refused("no attempt 2: task 7 ended FAILED"))

    assert list(body)[-1] == (
        b'event: refused\nid: 1\ndata: {"msg":"no attempt 2: task 7 ended FAILED"}\n\n'
    )


def test_a_fault_ends_it_without_an_end_so_that_the_client_comes_again() -> None:
    body, _ = tail(ValueError("oops"))

    assert list(body) == [b"retry: 2000\n\n"]


def test_a_place_is_given_back_once_however_the_answer_ends() -> None:
    places = Places(1)
    body, _ = tail(Slice("", 0, is_end=False), places=places)
    assert not places.take()

    body.close()
    body.close()

    assert places.take()
    assert not places.take()


# -- the endpoint ----------------------------------------------------------------------------------


def query(caller: Caller, **fields: Any) -> dict[str, Any]:
    """Return the query string of an app that follows."""
    own = {"user": caller.user, "appName": caller.app.name, "appToken": sign(caller.key)}
    return own | fields


def told(caller: Caller, **fields: Any) -> tuple[int, str]:
    """Return code and message of a call that is refused."""
    reply = caller.client.get(PATH, query(caller, **fields)).json()
    return reply["code"], reply["msg"]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "taskId is missing; it must be an integer from 1 to 9223372036854775807"),
        ({"taskId": "x"}, "taskId must be an integer from 1"),
        ({"taskId": 1, "stream": "LOG"}, "stream must be one of result, log"),
        ({"taskId": 1, "offset": -1}, "offset must be an integer from 0"),
        ({"taskId": 1, "attemptId": 0}, "attemptId must be an integer from 1"),
        ({"taskId": 1, "size": 1}, "size is not a field here"),
        ({"taskId": 10**12}, f"no task {10**12}"),
    ],
)
def test_a_silly_request_is_refused_by_name(
    fields: dict[str, Any], problem: str, caller: Caller
) -> None:
    code, msg = told(caller, **fields)

    assert (code, msg[: len(problem)]) == (1, problem)


def test_another_apps_task_reads_as_unknown(caller: Caller, other: Caller) -> None:
    theirs = make_output(b"secret", kind=StreamKind.LOG, is_closed=True, task__job__app=other.app)

    assert told(caller, taskId=theirs.task_id) == (1, f"no task {theirs.task_id}")


def test_a_wrong_token_learns_nothing(caller: Caller) -> None:
    mine = make_output(b"secret", kind=StreamKind.LOG, is_closed=True, task__job__app=caller.app)

    refusal = told(caller.elsewhere(key=KEY[::-1]), taskId=mine.task_id)

    assert refusal == (1, "appName or appToken is wrong.")


@pytest.mark.parametrize("seen", ["-1", "x", "9" * 30, "1.5"])
def test_a_foreign_last_event_id_is_refused(seen: str, caller: Caller) -> None:
    task = make_task(job__app=caller.app)

    reply = caller.client.get(PATH, query(caller, taskId=task.pk), HTTP_LAST_EVENT_ID=seen).json()

    assert reply["msg"] == "Last-Event-ID must be the id of an event of this stream"


def test_an_offset_beyond_the_stream_is_refused_before_a_place_is_taken(caller: Caller) -> None:
    mine = make_output(b"abc", kind=StreamKind.LOG, is_closed=True, task__job__app=caller.app)

    assert told(caller, taskId=mine.task_id, offset=4)[1].startswith("offset must be at most")


def test_it_is_a_get(caller: Caller) -> None:
    assert caller.post(PATH, taskId=1).status == 405


def test_an_envelope_in_the_query_string_works_too(caller: Caller) -> None:
    mine = make_output(b"abc", kind=StreamKind.LOG, is_closed=True, task__job__app=caller.app)
    asked = query(caller, parameters=json.dumps({"taskId": mine.task_id, "offset": 1}))

    response = caller.client.get(PATH, asked)

    assert b'id: 3\ndata: {"log":"bc"}' in all_of(response)


def all_of(response: Any) -> bytes:
    """Read an answer that ends to its end."""
    return b"".join(response.streaming_content)


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_who_may_see_attempts_follows_from_the_admin_site(caller: Caller) -> None:
    mine = make_output(b"abc", kind=StreamKind.RESULT, is_closed=True, task__job__app=caller.app)
    asked: dict[str, Any] = {"taskId": mine.task_id, "stream": "result"}
    vera = User.objects.create_user("vera", is_staff=True)
    assert browser(vera).get(PATH, asked).json()["code"] == 1
    vera.user_permissions.set(Permission.objects.filter(codename="view_attempt"))

    response = browser(vera).get(PATH, asked)

    assert response["Content-Type"] == "text/event-stream"
    assert b'"log":"abc"' in all_of(response)


def test_a_login_does_not_lend_itself_to_a_bad_token(caller: Caller) -> None:
    mine = make_output(b"abc", kind=StreamKind.LOG, is_closed=True, task__job__app=caller.app)
    asked = query(caller.elsewhere(key=KEY[::-1]), taskId=mine.task_id)

    reply = browser(User.objects.create_superuser("olga")).get(PATH, asked).json()

    assert reply["msg"] == "appName or appToken is wrong."


def test_the_page_of_a_running_attempt_follows_it(caller: Caller) -> None:
    attempt = make_output(b"abc", kind=StreamKind.LOG, is_closed=False)
    ended = make_output(b"abc", kind=StreamKind.LOG, is_closed=True)
    olga = browser(User.objects.create_superuser("olga"))

    def page(of: Attempt) -> str:
        return olga.get(f"/admin/tasks_app/attempt/{of.pk}/output/?stream=LOG").content.decode()

    address = f"/api/log/tail?taskId={attempt.task_id}&amp;attemptId=1&amp;stream=log&amp;offset=3"
    assert f'data-tail="{address}"' in page(attempt)
    assert "sentinel/tail.js" in page(attempt)
    assert "data-tail" not in page(ended)


# -- a real web process ----------------------------------------------------------------------------


@dataclass
class Web:
    """A web process with one worker, six threads and two places to follow."""

    url: str
    log: Path
    caller: Caller
    attempt: Attempt
    printed: int = field(default=0)

    def print(self, text: str) -> None:
        data = text.encode()
        kind, fence = StreamKind.LOG, self.attempt.fence
        assert store.append(self.attempt.pk, kind, fence=fence, start=self.printed, data=data)
        self.printed += len(data)

    def follow(self, seen: int | None = None, **fields: Any) -> Any:
        """Return a connection that follows; ``seen`` is the id of the last event."""
        headers = {} if seen is None else {"Last-Event-ID": str(seen)}
        asked = query(self.caller, taskId=self.attempt.task_id) | fields
        return httpx.stream("GET", self.url + PATH, params=asked, headers=headers, timeout=20)

    def status(self) -> int:
        """Ask an ordinary question."""
        asked = query(self.caller, parameters=json.dumps({"taskId": self.attempt.task_id}))
        reply = httpx.post(f"{self.url}/api/task/query/status", data=asked, timeout=20).json()
        return int(reply["code"])


@pytest.fixture
def web(committed_db: None, tmp_path: Path) -> Iterator[Web]:
    caller = Caller(make_app(name="mine"))
    attempt = make_attempt(task__job__app=caller.app)
    with serving(tmp_path / "web.log") as url:
        yield Web(url, tmp_path / "web.log", caller, attempt)


@contextmanager
def serving(log: Path) -> Iterator[str]:
    """Serve the database of this test with gunicorn, as the documents say."""
    url = f"http://127.0.0.1:{free_port()}"
    words = ("--graceful-timeout", "1", "--access-logfile", "-")
    form = ("--access-logformat", '%(h)s "%(m)s %(U)s" %(s)s %(M)s ms')
    command = web_command(url.removeprefix("http://"), *words, *form, workers=1, threads=6)
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "sentinel_project.settings",
        "SENTINEL_DATABASE_URL": database_url(),
        "SENTINEL_MAX_TAILS": "2",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=output, stderr=output)
    try:
        assert eventually(lambda: is_up(url), within=60), log.read_text()
        yield url
    finally:
        process.terminate()
        process.wait(30)


def is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def events(lines: Iterator[str]) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Yield kind, id and data of each event; comments are none."""
    found: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if line and name:
            found[name] = value
        elif "data" in found:
            yield found.get("event", ""), int(found["id"]), json.loads(found["data"])
            found = {}


def test_what_is_printed_is_told_and_the_end_too(web: Web) -> None:
    web.print("one\n")
    with web.follow() as response:
        heard = events(response.iter_lines())
        assert next(heard) == ("", 4, {"log": "one\n"})
        web.print("zwei: ü\n")
        assert next(heard) == ("", 13, {"log": "zwei: ü\n"})
        close_streams(web.attempt.pk, fence=web.attempt.fence, now=NOW)
        assert list(heard) == [("end", 13, {"offset": 13})]


def test_a_lost_connection_goes_on_where_it_was(web: Web) -> None:
    web.print("one\n")
    with web.follow() as response:
        _, seen, _ = next(events(response.iter_lines()))
    web.print("two\n")
    with web.follow(seen, offset=0) as response:
        assert next(events(response.iter_lines())) == ("", 8, {"log": "two\n"})


def test_no_more_follow_than_there_are_places_and_others_are_served(web: Web) -> None:
    web.print("one\n")
    with ExitStack() as stack:
        for _ in range(2):
            followed = stack.enter_context(web.follow())
            next(events(followed.iter_lines()))
        with web.follow() as third:
            refusal = json.loads(third.read())
        assert (third.status_code, third.headers["Retry-After"]) == (503, "5")
        assert refusal["code"] == 1
        assert "poll /api/log/readExecuteLog or /api/log/readResult" in refusal["msg"]
        assert [web.status() for _ in range(8)] == [0] * 8

    def is_free() -> bool:
        with web.follow() as again:
            return bool(again.status_code == 200)

    assert eventually(is_free, within=30)


def test_no_log_of_the_web_process_has_a_token_in_it(web: Web) -> None:
    asked = query(web.caller, taskId=web.attempt.task_id, stream="nothing")
    httpx.get(web.url + PATH, params=asked, timeout=20)
    httpx.get(f"{web.url}/api/nothing", params=asked, timeout=20)
    httpx.get(f"{web.url}/api/task/kill", params=asked, timeout=20)

    assert eventually(lambda: web.log.read_text().count("/api/") >= 3)
    assert asked["appToken"] not in web.log.read_text()

"""The Python client on a running server: typed verbs, safe repetitions, errors that say why."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from jobs.models import Job
from jobs.rules.enums import JobStatus
from sentinel_project.client import (
    Client,
    GaveUp,
    Refusal,
    ServerBroken,
    TokenForm,
    Unreachable,
    Unreadable,
)
from tasks_app.models import Task
from tasks_app.rules.states import TaskStatus
from tests.builders import make_app, make_job, make_task
from tests.client.conftest import Connect, Service
from tests.flow.web_receiver import receiving

HELLO = {"jobName": "hello", "jobType": "shell", "content": "echo hello"}


@contextmanager
def losing(url: str, replies: int) -> Iterator[str]:
    """A proxy before ``url`` that hands every request on, and hangs up instead of the first
    ``replies`` answers."""
    server = urlsplit(url).netloc
    left = [replies]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            backend = http.client.HTTPConnection(server)
            backend.request("POST", self.path, body, dict(self.headers.items()))
            reply = backend.getresponse()
            content = reply.read()
            backend.close()
            left[0] -= 1
            if left[0] >= 0:
                self.close_connection = True
                return
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.headers["Content-Type"])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    proxy.daemon_threads = True
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{proxy.server_address[1]}"
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join()


@pytest.mark.parametrize("form", list(TokenForm))
def test_either_token_submits_and_reads_back(connect: Connect, form: TokenForm) -> None:
    client = connect(token=form)

    made = client.submit(**HELLO, isTemp=True)

    assert client.job(made["jobId"])["content"] == "echo hello"
    assert client.task_of(made["jobId"])["status"] == TaskStatus.READY


def test_a_job_is_submitted_once_though_its_answer_is_lost_twice(
    service: Service, connect: Connect
) -> None:
    with losing(service.url, 2) as url:
        made = connect(url=url).submit(**HELLO, isTemp=True)

    assert list(Job.objects.values_list("pk", flat=True)) == [made["jobId"]]
    assert Task.objects.count() == 1


def test_a_caller_can_repeat_a_call_under_its_own_request_id(connect: Connect) -> None:
    client = connect()

    first = client.submit(**HELLO, request_id="order-7")
    again = client.submit(**HELLO, request_id="order-7")

    assert first == again


def test_a_refusal_says_what_the_server_said(connect: Connect) -> None:
    with pytest.raises(Refusal, match="priority must be an integer from 0 to 10, not 11"):
        connect().submit(**HELLO, priority=11)


def test_a_wrong_key_is_a_refusal_and_shows_no_key(connect: Connect) -> None:
    client = connect(key="f" * 32)

    with pytest.raises(Refusal, match="appName or appToken is wrong") as caught:
        client.job(1)

    assert "f" * 32 not in repr(caught.value) + repr(vars(client.calls))


def test_no_answer_is_told_after_the_repetitions(connect: Connect) -> None:
    with pytest.raises(Unreachable, match=r"http://127\.0\.0\.1:9 does not answer"):
        connect(url="http://127.0.0.1:9", retries=1).job(1)


def test_what_does_not_speak_as_sentinel_is_told_apart(connect: Connect) -> None:
    with receiving() as other, pytest.raises(Unreadable, match="not as Sentinel does"):
        connect(url=other.url("")).job(1)


def test_a_proxy_without_a_server_is_asked_again(connect: Connect) -> None:
    with receiving() as gateway:
        gateway.status = 503

        with pytest.raises(Unreachable, match="503"):
            connect(url=gateway.url(""), retries=2).job(1)

        assert len(gateway.got) == 3


def test_a_server_that_broke_is_not_asked_again(connect: Connect) -> None:
    with receiving() as server:
        server.status, server.body = 500, b'{"code": 9999, "msg": "see fault 7", "data": "{}"}'

        with pytest.raises(ServerBroken, match="see fault 7"):
            connect(url=server.url("")).job(1)

        assert len(server.got) == 1


def test_lists_are_read_page_by_page(connect: Connect, service: Service) -> None:
    job = make_job(app=service.app)
    ids = [make_task(job=job).pk for _ in range(5)]
    client = connect()

    assert [task["taskId"] for task in client.tasks(job.pk, limit=2)] == ids[:2:-1]
    assert [task["taskId"] for task in client.tasks(job.pk)] == ids[::-1]
    assert [found["jobId"] for found in client.jobs()] == [job.pk]


def test_a_list_of_verbs_answers_for_each_though_one_is_refused(
    connect: Connect, service: Service
) -> None:
    job = make_job(app=service.app)
    waiting, done = make_task(TaskStatus.WAITING, job=job), make_task(TaskStatus.SUCCESS, job=job)
    strange = make_task(job=make_job(app=make_app(name="other")))

    killed = connect().kill(waiting.pk, done.pk, strange.pk)

    assert [each["code"] for each in killed] == [0, 1, 1]
    assert killed[2]["msg"] == f"no task {strange.pk}"
    statuses = connect().set_job_status([job.pk, 999], JobStatus.PAUSED)
    assert [each["status"] for each in statuses] == [JobStatus.PAUSED, None]


def test_a_client_closes_itself(service: Service) -> None:
    with Client(service.url, app="mine", key="0123456789abcdef0123456789abcdef") as client:
        assert list(client.jobs()) == []


def test_waiting_ends_with_the_task_or_with_the_patience(
    connect: Connect, service: Service
) -> None:
    job = make_job(app=service.app)
    failed, waiting = make_task(TaskStatus.FAILED, job=job), make_task(TaskStatus.WAITING, job=job)
    seen: list[int] = []

    assert connect().wait(failed.pk)["status"] == TaskStatus.FAILED
    with pytest.raises(GaveUp, match=rf"task {waiting.pk} is still WAITING after 0\.1 s"):
        connect().wait(waiting.pk, timeout=0.1, seen=lambda now: seen.append(now["status"]))
    assert seen == [TaskStatus.WAITING]

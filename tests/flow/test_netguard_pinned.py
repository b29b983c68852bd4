"""The pinned client on a real server: it goes where the check looked, and nowhere else."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sentinel_project.netguard import pinned
from sentinel_project.netguard.addresses import AddressRefused
from tests.flow.certificates import certified
from tests.flow.web_receiver import Receiver, receiving

NAME = "hook.example"


class Resolver:
    """Stands in for the DNS: names answer from a script, one list of addresses per question."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        real = socket.getaddrinfo

        def lookup(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
            if host != NAME:
                return real(host, port, *args, **kwargs)
            self.asked.append(host)
            found = self.answers.pop(0)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found]

        monkeypatch.setattr(socket, "getaddrinfo", lookup)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def post(url: str, *, allow_private: bool = True, verify: Any = True) -> httpx.Response:
    with pinned.client(allow_private=allow_private, timeout=5, verify=verify) as client:
        return client.post(url, content=b"body")


def test_a_name_is_resolved_once_and_the_host_header_keeps_it(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = Resolver(monkeypatch, ["127.0.0.1"])

    reply = post(receiver.url(host=NAME))

    assert reply.content == b"thanks"
    assert resolver.asked == [NAME]
    assert receiver.got[0].headers["host"] == f"{NAME}:{receiver.port}"
    assert receiver.got[0].body == b"body"


def test_a_name_that_turns_private_is_refused_at_the_next_call(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    Resolver(monkeypatch, ["127.0.0.1"])

    with pytest.raises(AddressRefused, match=r"127\.0\.0\.1"):
        post(receiver.url(host=NAME), allow_private=False)

    assert receiver.got == []


def test_a_name_with_one_private_address_among_public_ones_is_refused(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    Resolver(monkeypatch, ["8.8.8.8", "127.0.0.1"])

    with pytest.raises(AddressRefused):
        post(receiver.url(host=NAME), allow_private=False)

    assert receiver.got == []


def test_the_next_address_is_tried_when_one_does_not_answer(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    Resolver(monkeypatch, ["127.0.0.2", "127.0.0.1"])

    assert post(receiver.url(host=NAME)).status_code == 200
    assert len(receiver.got) == 1


def test_a_redirect_is_an_answer_and_is_not_followed(receiver: Receiver) -> None:
    receiver.status, receiver.headers = 302, {"Location": receiver.url("/elsewhere")}

    assert post(receiver.url()).status_code == 302
    assert [got.path for got in receiver.got] == ["/hook"]


def test_a_proxy_of_the_environment_is_not_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert post(receiver.url()).status_code == 200


def test_an_unknown_name_is_a_failed_connection() -> None:
    with pytest.raises(httpx.ConnectError, match=r"nowhere\.invalid"):
        post("http://nowhere.invalid/")


@pytest.mark.parametrize(("certificate", "is_good"), [(NAME, True), ("other.example", False)])
def test_the_certificate_must_be_of_the_name_and_not_of_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificate: str, is_good: bool
) -> None:
    server, client = certified(tmp_path, certificate)
    Resolver(monkeypatch, ["127.0.0.1"])

    with receiving(server) as receiver:
        url = f"https://{NAME}:{receiver.port}/hook"
        if is_good:
            assert post(url, verify=client).status_code == 200
        else:
            with pytest.raises(httpx.ConnectError, match="certificate"):
                post(url, verify=client)
            assert receiver.got == []

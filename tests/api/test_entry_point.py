"""The web process's entry point, where Django itself would fail before any handler of ours."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from sentinel_project.wsgi import application

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("header", ["application/json; x*=bogus''%41", "text/x; a*='"])
def test_a_content_type_that_nobody_can_read_is_refused_in_the_envelope(header: str) -> None:
    """W-2: never HTML, never a stack trace."""
    environ: dict[str, Any] = {"PATH_INFO": "/api/job/list", "REQUEST_METHOD": "POST"}
    environ |= {"CONTENT_TYPE": header, "CONTENT_LENGTH": "0", "REMOTE_ADDR": "127.0.0.1"}
    setup_testing_defaults(environ)
    answered: list[str] = []

    def start_response(status: str, headers: Iterable[tuple[str, str]]) -> None:
        answered.append(status)

    body = b"".join(application(environ, start_response))

    assert answered == ["415 Unsupported Media Type"]
    assert "Content-Type" in json.loads(body)["msg"]

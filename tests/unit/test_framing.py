"""Where a request ends: the same bytes in any pieces, and never a guess in the parser's stead."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from sentinel_project.serving.framing import MAX_HEAD, MAX_REQUEST, Incoming

POST = b"POST /api/task/query HTTP/1.1\r\nHost: h\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def incoming(*pieces: bytes) -> Incoming:
    found = Incoming()
    for piece in pieces:
        found.take(piece)
    return found


WHOLE = [
    pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="no body"),
    pytest.param(b"\r\nGET / HTTP/1.1\r\n\r\n", id="an empty line first"),
    pytest.param(POST + b"Content-Length: 5\r\n\r\nhello", id="a length"),
    pytest.param(POST + b"content-LENGTH :\t005 \r\n\r\nhello", id="a length, oddly written"),
    pytest.param(POST + b"Content-Length: 0\r\n\r\n", id="an empty body"),
    pytest.param(CHUNKED + b"5\r\nhello\r\n1;a=b\r\n!\r\n0\r\n\r\n", id="chunks"),
    pytest.param(
        CHUNKED + b"A \r\n0\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", id="chunks that look like ends"
    ),
    pytest.param(CHUNKED + b"0\r\nX-Trailer: 1\r\n\r\n", id="trailers"),
]


@pytest.mark.parametrize("request_", WHOLE)
def test_a_request_is_whole_with_its_last_byte_and_not_before(request_: bytes) -> None:
    byte_by_byte = Incoming()
    states = []
    for number in range(len(request_)):
        byte_by_byte.take(request_[number : number + 1])
        states.append(byte_by_byte.is_whole)

    assert states == [False] * (len(request_) - 1) + [True]
    assert incoming(request_).is_whole
    assert incoming(request_ + POST).is_whole


@pytest.mark.parametrize(
    "begun",
    [
        pytest.param(b"GET / HTTP/1.1\n", id="a bare LF"),
        pytest.param(b"\x16\x03\x01\x02\n", id="no HTTP"),
        pytest.param(POST + b"Content-Length: five\r\n\r\n", id="a length that is none"),
        pytest.param(POST + b"Content-Length: -5\r\n\r\n", id="a length below 0"),
        pytest.param(CHUNKED + b"five\r\n", id="a chunk's size that is none"),
        pytest.param(CHUNKED + b"5" * 20_000, id="a chunk's size without end"),
    ],
)
def test_what_can_be_no_request_is_handed_on_to_be_refused(begun: bytes) -> None:
    """Nobody waits for the rest of it."""
    assert incoming(begun).is_whole


HUGE = b"%d" % (MAX_REQUEST + 1)


@pytest.mark.parametrize(
    ("begun", "fault"),
    [
        pytest.param(
            POST + b"X: " + b"x" * MAX_HEAD,
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            id="a head without end",
        ),
        pytest.param(
            POST + b"X: " + b"x" * MAX_HEAD + b"\r\n\r\n",
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            id="a large head",
        ),
        pytest.param(
            POST + b"Content-Length: " + HUGE + b"\r\n\r\n",
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            id="a large length",
        ),
        pytest.param(
            POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            id="a length of 5,000 digits",
        ),
        pytest.param(
            CHUNKED + b"FFFFFFFF\r\n", HTTPStatus.REQUEST_ENTITY_TOO_LARGE, id="a large chunk"
        ),
        pytest.param(
            CHUNKED + (b"fffff\r\n" + b"x" * 0xFFFFF + b"\r\n") * 5,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            id="many chunks",
        ),
        pytest.param(
            CHUNKED + b"0\r\nX: " + b"x" * MAX_HEAD,
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            id="trailers without end",
        ),
    ],
)
def test_what_is_too_large_is_refused_unread(begun: bytes, fault: HTTPStatus) -> None:
    found = incoming(begun)

    assert (found.fault, found.is_whole) == (fault, False)


def test_a_client_that_waits_to_be_told_is_told() -> None:
    expecting = b"Expect: 100-Continue\r\nContent-Length: 5\r\n\r\n"

    assert incoming(POST + expecting).waits_for_continue
    assert not incoming(POST + b"X: Expect: 100-continue\r\n\r\n").waits_for_continue
    assert not incoming(POST.replace(b"1.1", b"1.0") + expecting).waits_for_continue

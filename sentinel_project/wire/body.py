"""From the bytes of a request to its envelope: form, multipart or JSON, in UTF-8 (W-1, W-5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from io import BytesIO
from typing import Any, BinaryIO
from urllib.parse import unquote_to_bytes

from django.core.exceptions import SuspiciousOperation
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from django.utils.http import parse_header_parameters
from gunicorn.http.errors import ParseException
from rest_framework.exceptions import UnsupportedMediaType

from sentinel_project.errors import InvalidParameters
from sentinel_project.wire import jsontext
from sentinel_project.wire.envelope import BodyTooLarge, Envelope

MAX_BODY = 2 * 1024 * 1024
MAX_NAME = 256
MAX_TOKEN = 512
_MAX_FIELDS = 100
# Read on for a while: a client that is cut off while sending never sees the answer.
_DRAIN = 32 * 1024 * 1024
_PIECE = 64 * 1024
_LIMITS = {"user": MAX_NAME, "appName": MAX_NAME, "appToken": MAX_TOKEN}


def envelope_of(request: HttpRequest) -> Envelope:
    """Unwrap ``request``; all that is wrong with the envelope itself is refused together."""
    if request.method == "GET":
        return _envelope(query_of(request))
    raw = _body_of(request)
    encoding = request.META.get("HTTP_CONTENT_ENCODING", "identity")
    if encoding.strip().lower() not in {"", "identity"}:
        raise UnsupportedMediaType(encoding, f"Content-Encoding {encoding} is not accepted")
    content_type = request.META.get("CONTENT_TYPE", "")
    kind, options = parse_header_parameters(content_type)
    if kind not in _READERS:
        raise UnsupportedMediaType(content_type, _wrong_type(content_type))
    charset = options.get("charset", "utf-8").strip("\"'").lower()
    if charset not in {"utf-8", "utf8", "us-ascii"}:
        raise UnsupportedMediaType(content_type, f"charset {charset} is not accepted, only utf-8")
    return _envelope(_READERS[kind](raw, request.META))


def query_of(request: HttpRequest) -> dict[str, object]:
    """Return the fields of the query string, each of which may be there once."""
    return _form(request.META.get("QUERY_STRING", "").encode("latin-1"))


def flat_envelope_of(request: HttpRequest) -> Envelope:
    """Unwrap a query string that has the parameters as fields of their own.

    Browsers' event sources can send nothing but an address. With a field ``parameters`` it is an
    envelope like any other, which is also the only form that a strong token can sign.
    """
    fields = query_of(request)
    if "parameters" in fields:
        return _envelope(fields)
    envelope = {name: fields.pop(name) for name in _LIMITS if name in fields}
    return _envelope(envelope | {"parameters": fields})


def _wrong_type(content_type: str) -> str:
    return f"Content-Type {content_type or 'missing'}; accepted are {', '.join(_READERS)}"


def _body_of(request: HttpRequest) -> bytes:
    stream = _stream_of(request)
    try:
        raw = stream.read(MAX_BODY + 1)
        if len(raw) <= MAX_BODY:
            return raw
        drained = 0
        while drained < _DRAIN and (piece := stream.read(_PIECE)):
            drained += len(piece)
    except (OSError, ParseException):
        # Chunks are taken apart while they are read, so this is where broken ones show.
        raise InvalidParameters("the body could not be read to its end") from None
    raise BodyTooLarge(f"the body has more than the {MAX_BODY} bytes accepted")


def _stream_of(request: HttpRequest) -> BinaryIO | HttpRequest:
    """Return where the body is read from.

    Django sees no body without a length. A server that ends the stream itself lets us read it.
    """
    if not request.META.get("HTTP_TRANSFER_ENCODING"):
        return request
    if not request.META.get("wsgi.input_terminated"):
        raise InvalidParameters("the body must come with a Content-Length, not in chunks")
    stream: BinaryIO = request.META["wsgi.input"]
    return stream


def _form(raw: bytes, _meta: Mapping[str, Any] | None = None) -> dict[str, object]:
    pieces = [piece for piece in raw.split(b"&", _MAX_FIELDS + 1) if piece]
    if len(pieces) > _MAX_FIELDS:
        raise InvalidParameters(f"the form has more than the {_MAX_FIELDS} fields accepted")
    return _unique(_pairs(pieces))


def _pairs(pieces: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    for piece in pieces:
        name, _, value = piece.replace(b"+", b" ").partition(b"=")
        field = _text(unquote_to_bytes(name), "a field's name")
        yield field, _text(unquote_to_bytes(value), field)


def _multipart(raw: bytes, meta: Mapping[str, Any]) -> dict[str, object]:
    # Django would put U+FFFD for bytes that are not UTF-8. Latin-1 keeps every byte.
    meta = {"CONTENT_TYPE": meta["CONTENT_TYPE"], "CONTENT_LENGTH": len(raw)}
    try:
        fields, _ = MultiPartParser(meta, BytesIO(raw), [_NoFiles()], "latin-1").parse()
    except (MultiPartParserError, SuspiciousOperation) as error:
        raise InvalidParameters(
            f"the body is not multipart/form-data as accepted: {error}"
        ) from None
    return _unique(_latin_pairs(fields.lists()))


def _latin_pairs(lists: Iterable[tuple[str, list[Any]]]) -> Iterator[tuple[str, str]]:
    for name, values in lists:
        field = _text(name.encode("latin-1"), "a field's name")
        for value in values:
            yield field, _text(str(value).encode("latin-1"), field)


class _NoFiles(FileUploadHandler):
    """Refuses every part that is a file, before any of it is kept."""

    def new_file(self, field_name: str, *args: Any, **kwargs: Any) -> None:
        raise InvalidParameters(f"{field_name} is a file; only plain fields are accepted")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        return None

    def file_complete(self, file_size: int) -> None:
        return None


def _json(raw: bytes, _meta: Mapping[str, Any]) -> dict[str, object]:
    value = jsontext.parse(_text(raw, "the body"), name="the body")
    if not isinstance(value, dict):
        raise InvalidParameters(f"the body must be a JSON object, not {jsontext.shown(value)}")
    return value


_READERS: Mapping[str, Callable[[bytes, Mapping[str, Any]], dict[str, object]]] = {
    "application/x-www-form-urlencoded": _form,
    "multipart/form-data": _multipart,
    "application/json": _json,
}


def _text(raw: bytes, name: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidParameters(f"{name} is not UTF-8 at byte {error.start}") from None


def _unique(pairs: Iterable[tuple[str, str]]) -> dict[str, object]:
    fields: dict[str, object] = {}
    for name, value in pairs:
        if name in fields:
            raise InvalidParameters(f"{jsontext.shown(name)} is given twice")
        fields[name] = value
    return fields


def _envelope(fields: Mapping[str, object]) -> Envelope:
    problems = [problem for name in _LIMITS for problem in _name_problems(name, fields.get(name))]
    parameters = fields.get("parameters")
    if not isinstance(parameters, str | dict):
        found = "missing" if parameters is None else jsontext.shown(parameters)
        problems.append(f"parameters must be a JSON object or the text of one, not {found}")
    if problems or not isinstance(parameters, str | dict):
        raise InvalidParameters.of(problems)
    return Envelope(
        user=str(fields["user"]),
        app_name=str(fields["appName"]),
        token=str(fields["appToken"]),
        parameters=parameters,
    )


def _name_problems(name: str, value: object) -> list[str]:
    accepted = f"text of 1 to {_LIMITS[name]} characters"
    if value is None:
        return [f"{name} is missing; it must be {accepted}"]
    # A token is never quoted: replies end up in other people's logs.
    if not isinstance(value, str) or not 0 < len(value.strip()) <= len(value) <= _LIMITS[name]:
        return [f"{name} must be {accepted}"]
    return jsontext.problems_of(value, name=name)

"""The first answer to a mutating request, given again to whoever repeats it (W-13).

The row of the request and what the request does are one transaction, so that neither exists
without the other. Whoever inserts the row acts; the others wait for that commit and read it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from jobs import keys
from jobs.models import App, RequestRecord
from sentinel_project import prepared
from sentinel_project.errors import Refused
from sentinel_project.wire import jsontext
from sentinel_project.wire.envelope import Reply, ReplyCode


@dataclass(frozen=True, slots=True)
class Request:
    """What makes two requests the same one: ``key`` names it, ``digest`` is what it asks for."""

    app: App
    endpoint: str
    key: str
    digest: str
    #: The answer holds a secret and is kept sealed.
    is_sealed: bool = False


def digest_of(*words: str) -> str:
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


@transaction.atomic
def answer_once(request: Request, act: Callable[[], Reply[Any]], *, now: datetime) -> Reply[Any]:
    """Return what ``act`` answers, or what it answered the first time.

    If it raises, nothing is kept: a refused request may be mended and sent again.
    """
    own = RequestRecord(
        app=request.app,
        endpoint=request.endpoint,
        request_key=request.key,
        digest=request.digest,
        created_at=now,
    )
    if prepared.insert_if_new(own):
        reply = act()
        # The column holds JSON, in which a text is quoted once more.
        answer = json.dumps(_packed(reply, request))
        prepared.write(RequestRecord, {"pk": own.pk}, {"answer": answer})
        return reply
    # It can be seen, so it was committed, and with its answer.
    (first,) = _record(request.app.pk, request.endpoint, request.key)
    if first.digest != request.digest:
        raise Refused("requestId was used before with other parameters; choose a new one")
    return _unpacked(first.answer, request)


@prepared.select
def _record(app_id: int, endpoint: str, key: str) -> QuerySet[RequestRecord]:
    return RequestRecord.objects.filter(app_id=app_id, endpoint=endpoint, request_key=key)


def _packed(reply: Reply[Any], request: Request) -> str:
    """Return the reply as one text, since a database may reorder the keys of an object."""
    text = jsontext.dumps([int(reply.code), reply.msg, reply.data])
    return keys.seal(text) if request.is_sealed else text


def _unpacked(packed: Any, request: Request) -> Reply[Any]:
    try:
        text = keys.unseal(packed) if request.is_sealed else packed
    except keys.Unreadable as error:
        raise Refused("the first answer can no longer be read; choose a new requestId") from error
    code, msg, data = json.loads(text)
    return Reply(data=data, code=ReplyCode(code), msg=msg)

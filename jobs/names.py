"""Names that must be unique: the database decides, and a refusal says so in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import IntegrityError, transaction

from sentinel_project.errors import Refused


@contextmanager
def unless_taken(what: str, name: str) -> Iterator[None]:
    """Write a row whose name may be taken; the caller's transaction survives a refusal."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise Refused(f"{what} named {name!r} exists already") from error

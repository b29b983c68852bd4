"""Rows apart: one that raises is logged and left to the next pass, so that it stops no other."""

from __future__ import annotations

import logging
from collections.abc import Callable

from sentinel_project import dbfaults

logger = logging.getLogger(__name__)


def attempt(work: Callable[[], object], event: str, **ids: object) -> bool:
    """Do ``work`` on one row and tell whether it went well; without a database none would."""
    try:
        work()
    except Exception as error:
        if dbfaults.is_lost(error):
            raise
        logger.exception(event, extra=ids)
        return False
    return True

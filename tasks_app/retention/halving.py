"""Batches that halve when the database refuses them: 200 runs may have printed gigabytes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError

from sentinel_project import dbfaults

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Halving:
    """How many rows one transaction takes; what was refused once in a sweep stays small."""

    def __init__(self, most: int) -> None:
        self.size = most

    def do(self, work: Callable[[int], T]) -> T:
        """Do ``work`` on so many rows; on half of them if a statement takes too long, down to one.

        A sweep that began anew with the same batch would never get on.
        """
        while True:
            try:
                return work(self.size)
            except OperationalError as error:
                if dbfaults.is_lost(error) or self.size == 1:
                    raise
                self.size //= 2
                logger.warning("retention.halved", extra={"rows": self.size}, exc_info=True)

"""Questions and right answers as data, read by the tests."""

from __future__ import annotations

"""Properties that hold for every schedule, searched by hypothesis."""

from __future__ import annotations

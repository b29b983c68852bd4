"""The composition root as a Django app: it owns the management commands and the system checks."""

from __future__ import annotations

from django.apps import AppConfig


class SentinelConfig(AppConfig):
    name = "sentinel_project"
    label = "sentinel"
    verbose_name = "Sentinel"

    def ready(self) -> None:
        # Registers the system checks.
        from sentinel_project import checks  # noqa: F401

"""Django's name card of this app."""

from __future__ import annotations

from django.apps import AppConfig


class LogsConfig(AppConfig):
    name = "logs_app"
    verbose_name = "Logs"

"""Columns for what the timeline would lose otherwise (D-74), and for who found an event."""

from __future__ import annotations

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from tasks_app import triggers


def install(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """SQLite has rebuilt the tables, and dropped their triggers with them."""
    triggers.install(schema_editor.connection)


def text(length: int) -> models.CharField[str, str]:
    return models.CharField(max_length=length, blank=True, default="", db_default="")


class Migration(migrations.Migration):
    dependencies = [("tasks_app", "0002_triggers_and_system_state")]

    operations = [
        migrations.AddField("attempt", "ready_at", models.DateTimeField(null=True)),
        migrations.AddField("attempt", "rung_at", models.DateTimeField(null=True)),
        migrations.AddField(
            "attempt", "ring_count", models.PositiveIntegerField(default=0, db_default=0)
        ),
        migrations.AddField("event", "processed_by", text(8)),
        migrations.AddField("task", "opened_by", text(1024)),
        migrations.AddField("task", "released_by", text(128)),
        migrations.AddField("tasknote", "gate", text(64)),
        migrations.RunPython(install, migrations.RunPython.noop),
    ]

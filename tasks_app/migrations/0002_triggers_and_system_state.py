"""The edge triggers of X-1 and the one row of the whole-system pause."""

from __future__ import annotations

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from tasks_app import triggers


def install(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    triggers.install(schema_editor.connection)


def make_system_state(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("tasks_app", "SystemState").objects.get_or_create(pk=1)


class Migration(migrations.Migration):
    dependencies = [("tasks_app", "0001_initial")]

    operations = [
        migrations.RunPython(install, migrations.RunPython.noop),
        migrations.RunPython(make_system_state, migrations.RunPython.noop),
    ]

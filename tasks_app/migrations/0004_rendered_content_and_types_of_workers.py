"""What an attempt really ran, and which jobTypes a worker can run."""

from __future__ import annotations

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from tasks_app import triggers


def install(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    triggers.install(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("tasks_app", "0003_keep_what_columns_forget")]

    operations = [
        migrations.AddField("attempt", "rendered", models.JSONField(null=True)),
        migrations.AddField(
            "worker",
            "job_types",
            models.JSONField(default=dict, help_text="why each cannot be run here, or empty"),
        ),
        migrations.RunPython(install, migrations.RunPython.noop),
    ]

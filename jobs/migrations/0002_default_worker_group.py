"""Worker group 1, ``default``, which every job runs on unless it names another (D-81)."""

from __future__ import annotations

from django.apps.registry import Apps
from django.core.management.color import no_style
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def make_default_group(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    groups = apps.get_model("jobs", "WorkerGroup")
    groups.objects.get_or_create(pk=1, defaults={"name": "default"})
    connection = schema_editor.connection
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), [groups]):
            cursor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("jobs", "0001_initial")]

    operations = [migrations.RunPython(make_default_group, migrations.RunPython.noop)]

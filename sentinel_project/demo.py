"""What the one-command demo hands its user: an app with a key, an admin, and commands to paste."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model

from jobs import app_services, keys
from jobs.models import App
from jobs.rules.enums import AppKind

APP_NAME = "demo"
ADMIN_NAME = "admin"
_BY = "make up"


@dataclass(frozen=True, slots=True)
class Credentials:
    """``is_new``: something in it was made just now, and its owner has not seen it yet."""

    app_key: str
    admin_password: str
    is_new: bool


def ensure_credentials(path: Path, *, url: str, now: datetime) -> Credentials:
    """Make the demo's app and admin agree with the 0600 file ``path``, making what is missing."""
    kept = json.loads(path.read_text()) if path.exists() else {}
    key = _app_key(kept.get("app", {}).get("key", ""), now)
    password = _admin_password(kept.get("admin", {}).get("password", ""))
    content = {
        "url": url,
        "app": {"name": APP_NAME, "key": key},
        "admin": {"user": ADMIN_NAME, "password": password},
    }
    if content != kept:
        _write(path, content)
    is_new = content["app"] != kept.get("app") or content["admin"] != kept.get("admin")
    return Credentials(key, password, is_new)


def _app_key(kept: str, now: datetime) -> str:
    """Return a key that the demo's app has: the kept one if it still is, else a fresh one."""
    app = App.objects.filter(name=APP_NAME).first()
    if app is None:
        _, key = app_services.register_app(name=APP_NAME, kind=AppKind.NORMAL, owner=_BY, now=now)
        return key
    if kept and _has_key(app, kept):
        return kept
    if app.sealed_old_key:
        app_services.drop_old_key(app, user=_BY, now=now)
    return app_services.rotate_key(app, user=_BY, now=now)


def _has_key(app: App, key: str) -> bool:
    try:
        return key in {
            keys.unseal(sealed) for sealed in (app.sealed_key, app.sealed_old_key) if sealed
        }
    except keys.Unreadable:
        return False  # sealed under a secret of another installation


def _admin_password(kept: str) -> str:
    """Return the admin's password. One that its owner changed meanwhile is left alone."""
    users = get_user_model().objects
    admin = users.filter(username=ADMIN_NAME).first()
    password = kept or secrets.token_urlsafe(12)
    if admin is None:
        users.create_superuser(ADMIN_NAME, password=password)
    elif not kept:
        admin.set_password(password)
        admin.save(update_fields=["password"])
    return password


def _write(path: Path, content: dict[str, Any]) -> None:
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps(content, indent=2) + "\n")
    fresh.replace(path)


def walk(path: Path, *, url: str) -> str:
    """Return three commands to paste into a shell: submit, ask for the status, read the result.

    They read the key from the credentials file, so that it stays out of the shell's history.
    """
    return f"""\
# 1. submit a one-off
{_token(path)}
reply=$(curl -s {url}/api/job/submit \\
  --data-urlencode user=me --data-urlencode appName={APP_NAME} \\
  --data-urlencode "appToken=$token" --data-urlencode 'parameters={{"jobName":"hello '"$ts"'",\
"jobType":"shell","content":"echo hello; echo oops >&2","isTemp":true}}')
{_show_and_keep("job", "jobId")}

# 2. ask how it goes (4 = SUCCESS)
{_token(path)}
reply=$(curl -s {url}/api/job/query/status \\
  --data-urlencode user=me --data-urlencode appName={APP_NAME} \\
  --data-urlencode "appToken=$token" --data-urlencode "parameters={{\\"jobId\\":$job}}")
{_show_and_keep("task", "taskId")}

# 3. read what it printed
{_token(path)}
curl -s {url}/api/log/readResult \\
  --data-urlencode user=me --data-urlencode appName={APP_NAME} \\
  --data-urlencode "appToken=$token" --data-urlencode "parameters={{\\"taskId\\":$task}}"; echo
"""


def _token(path: Path) -> str:
    """Return shell that sets ``token`` (W-10), on Linux and on macOS."""
    return f"""\
key=$(sed -n 's/.*"key": *"\\([^"]*\\)".*/\\1/p' '{path}'); ts=$(date +%s)
token=$ts$(printf %s "$key$ts" | {{ md5sum 2>/dev/null || openssl md5 -r; }} | cut -c1-32)"""


def _show_and_keep(variable: str, name: str) -> str:
    return (
        "printf '%s\\n' \"$reply\"; "
        f"{variable}=$(printf '%s' \"$reply\" | sed -E 's/.*{name}[^0-9]*([0-9]+).*/\\1/')"
    )

"""Typed readers of the environment: every setting of an operator goes through one of these."""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import environ

_env = environ.Env()

# sun_path is 108 bytes on Linux and 104 on macOS, its closing NUL included.
_SOCKET_PATH_MAX = 100
_KEEPALIVE = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,  # milliseconds
}


def text(name: str, default: str = "") -> str:
    """Return the variable ``name``, or ``default`` where it is unset or empty."""
    return str(_env.str(name, default=default) or default)


def flag(name: str, default: bool = False) -> bool:
    return bool(_env.bool(name, default=default))


def number(name: str, default: int) -> int:
    return int(_env.int(name, default=default))


def words(name: str, default: tuple[str, ...] = ()) -> list[str]:
    """Return a comma-separated variable as a list without blanks."""
    value = text(name, ",".join(default))
    return [word.strip() for word in value.split(",") if word.strip()]


def directory(name: str, default: Path) -> Path:
    return Path(text(name, str(default))).resolve()


def database(name: str, default_file: Path) -> dict[str, Any]:
    """Return Django's settings of the database that ``name`` gives as a URL; SQLite if unset.

    SQLite begins every transaction with a write lock, since a deferred one that reads and then
    writes fails at once under a second writer; WAL keeps readers free meanwhile. PostgreSQL is told
    how long a statement and a wait for a lock may last, and a server that is gone without a word is
    noticed within half a minute; a URL that has options of its own keeps them.
    """
    url = text(name, f"sqlite:///{default_file}")
    config: dict[str, Any] = dict(_env.db_url_config(url))
    options = dict(config.get("OPTIONS", {}))
    if config["ENGINE"].endswith("sqlite3"):
        options |= {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
            " PRAGMA temp_store=MEMORY; PRAGMA cache_size=-20000;",
        }
    else:
        options = {"connect_timeout": 5, **_KEEPALIVE, "options": _timeouts(), **options}
        config |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
    return config | {"OPTIONS": options, "ATOMIC_REQUESTS": False}


def _timeouts() -> str:
    """Return the server's settings of a connection; 0 seconds: no limit."""
    limits = {
        "statement_timeout": number("SENTINEL_STATEMENT_TIMEOUT", 30),
        "lock_timeout": number("SENTINEL_LOCK_TIMEOUT", 10),
        "idle_in_transaction_session_timeout": 60,
    }
    return " ".join(f"-c {name}={seconds * 1000}" for name, seconds in limits.items())


def mail(name: str) -> dict[str, Any]:
    """Return where mail is handed in, from a URL such as ``smtp+tls://user:word@host:587``."""
    url = text(name)
    config: dict[str, Any] = dict(_env.email_url_config(url)) if url else {}
    return {
        "host": config.get("EMAIL_HOST") or "",
        "port": config.get("EMAIL_PORT") or 25,
        "user": config.get("EMAIL_HOST_USER") or "",
        "password": config.get("EMAIL_HOST_PASSWORD") or "",
        "tls": bool(config.get("EMAIL_USE_TLS")),
        "ssl": bool(config.get("EMAIL_USE_SSL")),
    }


def socket_path(run_dir: Path) -> Path:
    """Return where the embedded broker listens: a path short enough for a Unix socket."""
    path = run_dir / "broker.sock"
    if len(str(path).encode()) <= _SOCKET_PATH_MAX:
        return path
    digest = hashlib.sha256(str(run_dir).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"sentinel-{os.getuid()}-{digest}" / "broker.sock"


def broker(name: str, run_dir: Path) -> str:
    """Return the broker's URL; unset means the embedded broker on its Unix socket."""
    return text(name) or f"redis+socket://{quote(str(socket_path(run_dir)))}?virtual_host=0"


def secret(name: str, path: Path) -> str:
    """Return the secret ``name``, or the one in the 0600 file ``path``, made at the first call."""
    if given := text(name):
        return given
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_urlsafe(48))
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass  # another process made it first, and its secret is the one that counts
        finally:
            fresh.unlink()
    return path.read_text().strip()

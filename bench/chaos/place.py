"""The place of one run: directories, ports and settings. Import it before all of the product."""

from __future__ import annotations

import argparse
import atexit
import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import django

from tests.proxy import Proxy

HOST = "127.0.0.1"
RABBITMQ = (HOST, 5672)
_MARK = "SENTINEL_CHAOS_MOUNTS"
STACKS = ("embedded", "rabbitmq", "redis")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stack", choices=STACKS, default="embedded")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=40, help="how long faults happen")
    parser.add_argument("--only", default="", help="faults whose names hold one of a,b,…")
    parser.add_argument("--keep", action="store_true", help="leave the directory, for a look")
    return parser.parse_args()


def _enter_namespace() -> None:
    """Start anew where mounts are this run's own, if we may: a disk can be small and full there.

    They go with the run's last process, however it ends.
    """
    unshare = ("unshare", "--mount", "--propagation", "private")
    if os.geteuid() != 0 or _MARK in os.environ:
        return
    os.environ[_MARK] = ""
    with suppress(OSError):
        if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode == 0:
            os.environ[_MARK] = "own"
            os.execvp(unshare[0], [*unshare, *sys.orig_argv])


def _mount_small_disk(directory: Path) -> bool:
    """Put a file system of a few megabytes under the work directories of the runs."""
    if os.environ.get(_MARK) != "own":
        return False
    directory.mkdir(mode=0o700)
    words = ["-t", "tmpfs", "-o", "size=8m,mode=0700", "none", str(directory)]
    if subprocess.run(["mount", *words], capture_output=True, check=False).returncode != 0:
        return False
    # Before the place is removed, which a mount in it would prevent.
    atexit.register(subprocess.run, ["umount", "--lazy", str(directory)], check=False)
    return True


def _library_of_clocks() -> Path | None:
    """Build what gives a process a wall clock of its own, if there is a C compiler."""
    library = PLACE / "wallclock.so"
    source = str(Path(__file__).with_name("wallclock.c"))
    command = ["cc", "-shared", "-fPIC", "-O1", source, "-o", str(library), "-ldl"]
    if shutil.which("cc") is None:
        return None
    done = subprocess.run(command, capture_output=True, check=False)
    return library if done.returncode == 0 else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


OPTIONS = _options()
_enter_namespace()
PLACE = Path(tempfile.mkdtemp(prefix="sentinel-chaos-"))
PLACE.chmod(0o711)  # the database runs as a user of its own
if not OPTIONS.keep:
    atexit.register(shutil.rmtree, PLACE, ignore_errors=True)
WITNESS = PLACE / "witness"
NAME = f"sentinel_chaos_{os.getpid()}"
WEB_PORT, POSTGRES_PORT, REDIS_PORT = free_port(), free_port(), free_port()
#: Between the workers and a RabbitMQ that is not ours to kill.
PROXY = Proxy(*RABBITMQ) if OPTIONS.stack == "rabbitmq" else None
LEASE = 16

_URLS = {
    "embedded": "",
    "rabbitmq": f"amqp://guest:guest@{HOST}:{PROXY.port if PROXY else 0}//",
    "redis": f"redis://{HOST}:{REDIS_PORT}/0",
}
HAS_POSTGRES = OPTIONS.stack != "embedded"
os.environ |= {
    "DJANGO_SETTINGS_MODULE": "sentinel_project.settings",
    "SENTINEL_RUN_DIR": str(PLACE / "run"),
    "SENTINEL_BROKER_PREFIX": NAME,
    "SENTINEL_BROKER_URL": _URLS[OPTIONS.stack],
    "SENTINEL_DATABASE_URL": f"postgres://postgres@{HOST}:{POSTGRES_PORT}/postgres"
    if HAS_POSTGRES
    else "",
    "SENTINEL_ALLOW_ROOT": "1",
    "SENTINEL_DRAIN": "2",
    "SENTINEL_LEASE": str(LEASE),
    "SENTINEL_HEARTBEAT": "2",
    "SENTINEL_LOG_LEVEL": "INFO",
}
(PLACE / "run").mkdir(mode=0o700)
#: Wall clocks of our own are had with a server alone: without one the database's is the host's.
CLOCKS = _library_of_clocks() if HAS_POSTGRES else None
WORK = PLACE / "run" / "work"
HAS_SMALL_DISK = _mount_small_disk(WORK)
django.setup()
logging.disable(logging.ERROR)  # of this process; the others log to files

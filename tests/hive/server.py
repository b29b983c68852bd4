"""A real server that speaks HiveServer2's protocol: Spark's, as ``make test-hive`` installs it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.flow import executions
from tests.flow.processes import free_port

HOME = "HIVE_TEST_SPARK_HOME"
#: A server that starts or compiles its first statement may take long on a busy machine.
_SECONDS = 90


def eventually(condition: Callable[[], bool]) -> bool:
    return executions.eventually(condition, _SECONDS)


@dataclass(frozen=True, slots=True)
class HiveServer:
    """``spark`` is where its programs lie, ``pages`` where it tells what it does."""

    spark: Path
    port: int
    pages: str

    @property
    def address(self) -> str:
        return f"hive://ann@127.0.0.1:{self.port}"

    def running(self, marker: str) -> list[str]:
        """Return the statements with ``marker`` in them that the server computes now."""
        [application] = self._page("")
        jobs = self._page(f"/{application['id']}/jobs?status=running")
        return [job["description"] for job in jobs if marker in job.get("description", "")]

    def _page(self, path: str) -> list[dict[str, Any]]:
        answer = httpx.get(f"{self.pages}{path}", trust_env=False, timeout=60)
        found: list[dict[str, Any]] = answer.raise_for_status().json()
        return found


def lack() -> str | None:
    """Return why no server can be started here."""
    if not os.environ.get(HOME):
        return f"needs a HiveServer2: {HOME} is not set, `make test-hive` sets it"
    return None if shutil.which("java") else "needs a HiveServer2: there is no Java on the PATH"


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[HiveServer]:
    """Start a server whose files all lie in ``folder``."""
    spark = Path(os.environ[HOME])
    port, page = free_port(), free_port()
    log = folder / "server.log"
    with log.open("wb") as kept:
        process = subprocess.Popen(
            _command(spark, folder, port, page, options),
            cwd=folder,
            env=os.environ | {"SPARK_HOME": str(spark), "SPARK_LOCAL_IP": "127.0.0.1"},
            stdin=subprocess.DEVNULL,
            stdout=kept,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        is_up = eventually(lambda: _answers(port) or process.poll() is not None)
        assert is_up, log.read_text()[-4000:]
        assert process.poll() is None, log.read_text()[-4000:]
        yield HiveServer(spark, port, f"http://127.0.0.1:{page}/api/v1/applications")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _command(
    spark: Path, folder: Path, port: int, page: int, options: tuple[str, ...]
) -> list[str]:
    words = {
        "spark.ui.port": page,
        "spark.sql.shuffle.partitions": 1,
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.warehouse.dir": folder / "warehouse",
        "spark.hadoop.javax.jdo.option.ConnectionURL": (
            f"jdbc:derby:;databaseName={folder}/metastore;create=true"
        ),
    }
    hive = {
        "hive.server2.thrift.port": port,
        "hive.server2.thrift.bind.host": "127.0.0.1",
        # So that what it logs of a statement is more than nothing.
        "hive.server2.logging.operation.level": "VERBOSE",
        "hive.server2.logging.operation.log.location": folder / "operations",
    }
    named = [part for name, value in words.items() for part in ("--conf", f"{name}={value}")]
    named_hive = [
        part for name, value in hive.items() for part in ("--hiveconf", f"{name}={value}")
    ]
    return [
        *(str(spark / "bin" / "spark-submit"), "--master", "local[2]"),
        *("--class", "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2"),
        *("--driver-memory", "600m", "--driver-java-options", f"-Djava.io.tmpdir={folder}"),
        *named,
        "spark-internal",
        *named_hive,
        *options,
    ]


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True

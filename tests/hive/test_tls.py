"""HiveServer2 by TLS: a server with a certificate that was made for it here."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks_app.executors.base import Ending
from tests.hive.server import HiveServer, serving
from tests.hive.test_hs2 import start

WORD = "changeit"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[HiveServer]:
    store = ["-keystore", str(folder / "store.jks"), "-storepass", WORD, "-alias", "hive"]
    made_for = ["-dname", "CN=hive", "-ext", "SAN=IP:127.0.0.1", "-keyalg", "RSA"]
    subprocess.run(["keytool", "-genkeypair", *store, *made_for], check=True, capture_output=True)
    shown = subprocess.run(
        ["keytool", "-exportcert", "-rfc", *store], check=True, capture_output=True
    )
    (folder / "ca.pem").write_bytes(shown.stdout)
    options = {
        "hive.server2.use.SSL": "true",
        "hive.server2.keystore.path": folder / "store.jks",
        "hive.server2.keystore.password": WORD,
    }
    words = [part for name, value in options.items() for part in ("--hiveconf", f"{name}={value}")]
    with serving(folder, *words) as made:
        yield made


def test_a_server_is_believed_by_its_certificate(server: HiveServer, folder: Path) -> None:
    address = f"{server.address}/?tls=true&ssl_ca={folder}/ca.pem"
    name = address.replace("127.0.0.1", "localhost")

    running = start("SELECT 'größer' AS a", address)
    misnamed = start("SELECT 1", name)
    unknown = start("SELECT 1", f"{server.address}/?tls=true")

    assert running.outcome(100).ending is Ending.SUCCESS, running.kept.log_bytes
    assert running.kept.result_bytes.decode() == "a\ngrößer\n"
    for refused in (misnamed, unknown):
        assert refused.outcome(100).reason == "BACKEND"
        assert "certificate verify failed" in refused.outcome(100).message


def test_a_server_of_tls_is_not_talked_to_in_the_clear(server: HiveServer) -> None:
    assert start("SELECT 1", server.address).outcome(100).reason == "BACKEND"

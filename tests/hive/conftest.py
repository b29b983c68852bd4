"""One server for all tests of the type hive: it takes a while to start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hive.server import HiveServer, lack, serving


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is here where there can be no server; with one line for all."""
    if reason := lack():
        for item in items:
            if item.path.parent == Path(__file__).parent:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def hive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HiveServer]:
    with serving(tmp_path_factory.mktemp("hive")) as server:
        yield server

"""All tests in this folder are long proofs: `make verify` runs them, `make test` does not."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    """Know the marker without pytest-xdist as well: mutation testing runs without plugins."""
    config.addinivalue_line("markers", "xdist_group(name): tests that share a worker of pytest-xdist")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests below this folder."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.verify)

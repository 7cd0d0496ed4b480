"""Everything here is a long proof: `make verify` runs it, `make test` does not."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies below this folder."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.verify)

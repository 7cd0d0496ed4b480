"""What every test starts from: no device is remembered from a test before, whose simulator had the same address."""

from __future__ import annotations

import pytest

from sco_drivers.printer import memory


@pytest.fixture(autouse=True)
def _no_device_is_remembered() -> None:
    memory.forget()

"""What every test starts from: no device is remembered from a test before, whose simulator had the same address.

A test that needs a program of the system is marked with it, `@pytest.mark.program("mount")`, and is skipped where the
program is absent.
"""

from __future__ import annotations

import shutil

import pytest

from sco_drivers.printer import memory


@pytest.fixture(autouse=True)
def _no_device_is_remembered() -> None:
    memory.forget()


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("program"):
        if shutil.which(mark.args[0]) is None:
            pytest.skip(f"needs the program {mark.args[0]}, which is not on this machine")

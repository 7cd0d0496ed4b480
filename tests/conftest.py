"""What every test starts from: no device is remembered from a test before, whose simulator had the same address.

A test that needs a program of the system is marked with it, `@pytest.mark.program("mount")`, and is skipped where the
program is absent.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from sco_drivers.printer import memory
from sco_drivers.printer.escpos import EscPosPrinter
from tests.idle_time import IdleTime


@pytest.fixture(autouse=True)
def _no_device_is_remembered() -> None:
    memory.forget()


@pytest.fixture
def idle_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[IdleTime]:
    """A clock that no test waits for, shared by drivers, simulators and the test."""
    clock = IdleTime()
    with monkeypatch.context() as patch:
        clock.install(patch)
        patch.setattr(EscPosPrinter.__init__, "__defaults__", (clock.time, None))
        yield clock


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("program"):
        if shutil.which(mark.args[0]) is None:
            pytest.skip(f"needs the program {mark.args[0]}, which is not on this machine")

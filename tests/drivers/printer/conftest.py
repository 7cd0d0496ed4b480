"""Printers and their simulators share a clock that no test waits for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sco_drivers.printer.escpos import EscPosPrinter
from tests.idle_time import IdleTime


@pytest.fixture(autouse=True)
def idle_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[IdleTime]:
    clock = IdleTime()
    with monkeypatch.context() as patch:
        clock.install(patch)
        patch.setattr(EscPosPrinter.__init__, "__defaults__", (clock.time, None))
        yield clock

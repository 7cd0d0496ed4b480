"""Devices of the tests' own, with checks that no busy machine can fail: only the page and who answers are tested.

`python -m tests.hwtest.station.own_suite run ...` is `sco-hwtest run ...` on them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from PIL import Image

from sco_hwtest import questions, runner
from sco_hwtest.cli.main import main
from sco_hwtest.contracts.check import Check
from sco_hwtest.measure import ask
from sco_hwtest.pictures import png_of
from sco_hwtest.questions import Operator
from sco_hwtest.results import DeviceReport, Picture
from sco_hwtest.suites import Suite

PRINTER, READER = ("printer", "sim://"), ("nfc", "sim://")
_ASKED = {
    "printer": (questions.PAPER, questions.LETTERS, questions.CUT),
    "nfc": (questions.phone_reads("https://qr.nspk.ru/AD1"),),
}


def answers(device: object) -> None:
    """It answers."""


def is_ready(device: object) -> None:
    """It is ready."""


CHECKS: tuple[Check[Any], ...] = (Check(answers), Check(is_ready))


def _measure(device: object, report: DeviceReport, operator: Operator) -> None:
    """Ask that kind's questions."""
    picture = Picture("The paper", png_of(Image.new("1", (576, 600), 1)))
    for question in _ASKED[report.kind]:
        ask(report, operator, question, *([picture] if report.kind == "printer" else []))


class _Device(AbstractContextManager["_Device"]):
    def close(self) -> None:
        """Nothing is open."""

    def __exit__(self, *exc: object) -> None:
        self.close()


def install(patch: Callable[[Any, str, object], None]) -> None:
    """Let runs have these devices: `patch` sets a module's attribute."""
    patch(runner, "opener", lambda kind: lambda url: _Device())
    patch(runner, "suite_of", lambda kind: Suite(kind, CHECKS, lambda url: _Device()))
    patch(runner, "MEASURES", {"printer": _measure, "nfc": _measure})


if __name__ == "__main__":
    install(setattr)
    main()

"""The contract suite of each kind of device, imported when it is needed."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import sco_drivers
from sco_hwtest.contracts.check import CannotRun, Check
from sco_hwtest.questions import Operator
from sco_hwtest.results import Kind


@dataclass(frozen=True, slots=True)
class Suite:
    """The contract suite of one kind of device.

    Attributes:
        kind: of device.
        checks: those that need only the device.
        subject: opens by a URL what each check is given.
        fault_checks: those that need faults to be made.
        faulty: opens by a URL what each of these is given; the operator makes the faults that no simulator makes.
    """

    kind: Kind
    checks: tuple[Check[Any], ...]
    subject: Callable[[str], AbstractContextManager[Any]]
    fault_checks: tuple[Check[Any], ...] = ()
    faulty: Callable[[str, Operator], AbstractContextManager[Any]] | None = None

    @property
    def names(self) -> list[str]:
        """Of all its checks."""
        return [check.name for check in (*self.checks, *self.fault_checks)]

    def why_not(self, name: str, url: str, *, faults: bool) -> str:
        """Why a run on `url` does not have the check `name`; empty if it has it.

        Args:
            name: of a check.
            url: of the device.
            faults: whether faults are made.
        """
        for check in self.checks:
            if check.name == name:
                return check.why_not(url)
        for check in self.fault_checks:
            if check.name == name:
                return check.why_not(url) if faults else "it makes a fault, and only a run with faults does so"
        return "there is no such check"


def opener(kind: Kind) -> Callable[[str], Any]:
    """The function that opens a URL of that kind."""
    openers: dict[Kind, Callable[[str], Any]] = {
        "printer": sco_drivers.open_printer,
        "nfc": sco_drivers.open_nfc,
        "screen": sco_drivers.open_screen,
        "touch": sco_drivers.open_touch,
        "display": sco_drivers.open_display,
    }
    return openers[kind]


def suite_of(kind: Kind) -> Suite:
    """The contract suite of `kind`.

    Raises:
        CannotRun: this installation has no suite for `kind`, or a library is missing.
    """
    name = f"sco_hwtest.contracts.{kind}"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name == name:
            raise CannotRun(
                f"THIS INSTALLATION HAS NO CONTRACT SUITE FOR {kind.upper()}: nothing was checked against {name}",
                "install a version of sco-paymaster that has it",
            ) from None
        raise missing_library(error) from error
    return Suite(
        kind,
        tuple(module.CHECKS),
        getattr(module, "open_bench", opener(kind)),
        tuple(getattr(module, "FAULT_CHECKS", ())),
        getattr(module, "open_faulty", None),
    )


def missing_library(error: ImportError) -> CannotRun:
    """The error for a suite or check whose library is not installed."""
    name = error.name or str(error)
    return CannotRun(f"the library {name} is not installed", "pip install 'sco-paymaster[simulator]'")

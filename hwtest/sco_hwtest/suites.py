"""The contract suite of each kind of device, found when it is needed, and how its devices are opened for it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from sco_hwtest import questions
from sco_hwtest.contracts.check import Check
from sco_hwtest.results import Kind


class CannotRun(Exception):
    """The suite cannot run here. The message says why; `to_do` what would help."""

    def __init__(self, message: str, to_do: str = "") -> None:
        super().__init__(message)
        self.to_do = to_do


@dataclass(frozen=True, slots=True)
class Suite:
    """The checks of one kind, and what opens by a URL that which each is given."""

    kind: Kind
    checks: tuple[Check[Any], ...]
    subject: Callable[[str], AbstractContextManager[Any]]
    fault_checks: tuple[Check[Any], ...] = ()


def opener(kind: Kind) -> Callable[[str], Any]:
    """The function that opens a URL of that kind."""
    import sco_drivers

    openers: dict[Kind, Callable[[str], Any]] = {
        "printer": sco_drivers.open_printer,
        "nfc": sco_drivers.open_nfc,
        "screen": sco_drivers.open_screen,
        "touch": sco_drivers.open_touch,
    }
    return openers[kind]


def suite_of(kind: Kind) -> Suite:
    """The contract suite of `kind`.

    Raises:
        CannotRun: this installation has none, or a library that it needs is missing.
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
    subject = _touch_bench if kind == "touch" else opener(kind)
    return Suite(kind, tuple(module.CHECKS), subject, tuple(getattr(module, "FAULT_CHECKS", ())))


def missing_library(error: ImportError) -> CannotRun:
    """A check that needs a library which is not installed cannot run."""
    name = error.name or str(error)
    return CannotRun(f"it needs the library {name}", "pip install 'sco-paymaster[simulator]'")


_BY_HAND = {
    "run-out-of-paper": questions.Question("do-run-out-of-paper", "Take the paper out of the printer. Is it out?"),
    "load-paper": questions.Question("do-load-paper", "Put the paper in again and close the cover. Is it in?"),
    "open-cover": questions.Question("do-open-cover", "Open the printer's cover. Is it open?"),
    "close-cover": questions.Question("do-close-cover", "Close the printer's cover. Is it closed?"),
    "unplug": questions.Question("do-unplug", "Pull the printer's data cable. Is it out?"),
    "plug-in": questions.Question("do-plug-in", "Plug the data cable in again, and wait three seconds. Is it in?"),
}


@contextmanager
def faulty_printer(url: str, person: questions.Person) -> Iterator[Any]:
    """A printer and somebody who makes faults: its simulator, else the person at the bench."""
    from sco_drivers import open_printer
    from sco_hwtest.contracts.printer import Faulty
    from sco_sim.printer.control import change

    with open_printer(url) as printer:
        simulator = getattr(printer, "simulator", None)

        def do(command: str) -> None:
            if simulator is not None:
                change(simulator, command.split())()
            elif command not in _BY_HAND:
                raise CannotRun("this fault comes too fast for a person's hand; simulated printers make it")
            elif person(_BY_HAND[command]) is not questions.Answer.YES:
                raise CannotRun("nobody at the printer did what was asked for")

        yield Faulty(printer, do)


@contextmanager
def _touch_bench(url: str) -> Iterator[Any]:
    """A panel with a finger on it: a simulated one, since a panel of glass has none that a program commands."""
    from sco_drivers import open_touch
    from sco_drivers.urls import DeviceUrl
    from sco_hwtest.contracts.touch import TouchBench
    from sco_sim.touch import VirtualTouch

    parsed = DeviceUrl.parse(url)
    if parsed.scheme != "sim" or parsed.path:
        raise CannotRun(
            "a panel of glass has no finger that a program commands",
            "give --screen too, and a person at the bench taps what is asked for",
        )
    # The finger outlives the panel, since some checks tap a panel that is closed.
    with VirtualTouch() as finger:
        query = "".join(f"&{name}={value}" for name, value in parsed.params.items() if name != "range")
        with open_touch(("spy+" if parsed.spied else "") + finger.url + query) as touch:
            yield TouchBench(touch, finger, finger.unplug, finger.drop)
